/** The chat's connection to the gateway, in terms of people and rooms. */

import { ReconnectingSocket } from '../client/reconnecting-socket.js'

const MOST_WAITING = 10
const LATER = 2 // seconds until the next try to join, when the server names no time
const ANSWER_MS = 20_000 // longer than the gateway waits for a handler that is away (HANDLER_WAIT)

/**
 * RoomSocket: the session of one person in one room, which survives broken connections. It joins whenever a session
 * opens. It sends one message at a time and waits for its answer, so that it is clear which message an error frame is about.
 * A message without an answer when a session is lost is sent again, with the same `ref`.
 *
 * Events, with `detail`:
 *   "state"     { state, delay } as in ReconnectingSocket
 *   "resumed"   {} it is back after a broken connection, and has missed nothing
 *   "lost"      {} it is back in a new session: what others sent meanwhile is missing
 *   "frame"     a frame of the room: { type: "welcome" | "joined" | "left" | "said" | "announcement", … }
 *   "slow"      { seconds, joining } over the rate, or the server is away: it continues by itself after so many seconds
 *   "returned"  { ref, text, status } the server rejected a message
 *   "refused"   { status } the server rejected the name; the connection is closed
 */
export class RoomSocket extends EventTarget {
  #socket
  #name
  #messages = []
  #asked
  #joined = false
  #pause

  /** @param {string} url @param {string} name */
  constructor(url, name) {
    super()
    this.#name = name
    this.#socket = new ReconnectingSocket(url, [], { session: true, answer: ANSWER_MS })
    this.#socket.addEventListener('state', ({ detail }) => this.#tell('state', detail))
    this.#socket.addEventListener('open', ({ reconnected }) => this.#begin(reconnected))
    this.#socket.addEventListener('resume', () => this.#continue())
    this.#socket.addEventListener('message', ({ data }) => this.#receive(data))
  }

  get state() {
    return this.#socket.state
  }

  connect() {
    this.#socket.connect()
  }

  close() {
    this.#socket.close(1000)
  }

  /** Sends a message when it is its turn. @param {string} ref @param {string} text @returns {boolean} false when too many wait already */
  say(ref, text) {
    if (this.#messages.length >= MOST_WAITING) return false
    this.#messages.push({ say: text, ref })
    this.#next()
    return true
  }

  #begin(isAgain) {
    this.#joined = false
    this.#asked = undefined
    this.#wait(0)
    if (isAgain) this.#tell('lost', {})
    this.#next()
  }

  #continue() {
    this.#tell('resumed', {})
    this.#next()
  }

  #next() {
    if (this.state !== 'open' || this.#asked || this.#pause) return
    const frame = this.#joined ? this.#messages[0] : { join: this.#name }
    if (!frame) return
    this.#asked = frame
    this.#socket.send(JSON.stringify(frame))
  }

  #receive(data) {
    if (typeof data !== 'string') return
    const frame = parse(data)
    if (frame.statusCode >= 400) return this.#refuse(frame)
    if (frame.type === 'welcome') this.#joined = true
    const isAnswer = frame.type === 'welcome' || (this.#asked?.ref !== undefined && frame.ref === this.#asked.ref)
    if (isAnswer && this.#asked?.say) this.#messages.shift()
    if (isAnswer) this.#asked = undefined
    this.#tell('frame', frame)
    if (isAnswer) this.#next()
  }

  #refuse({ statusCode: status, retryAfter }) {
    const asked = this.#asked
    if (!asked) return
    this.#asked = undefined
    const joining = asked.join !== undefined
    if (status === 429 || (joining && status >= 500)) {
      const seconds = retryAfter > 0 ? retryAfter : LATER
      this.#wait(seconds)
      return this.#tell('slow', { seconds, joining })
    }
    if (joining) {
      this.close()
      return this.#tell('refused', { status })
    }
    this.#messages.shift()
    this.#tell('returned', { ref: asked.ref, text: asked.say, status })
    this.#next()
  }

  #wait(seconds) {
    clearTimeout(this.#pause)
    this.#pause =
      seconds > 0
        ? setTimeout(() => {
            this.#pause = undefined
            this.#next()
          }, seconds * 1000)
        : undefined
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}

/** Anybody who can push may push to a room. What is not a frame of the chat is shown as an announcement. */
function parse(data) {
  try {
    const frame = JSON.parse(data)
    if (typeof frame?.type === 'string' || typeof frame?.statusCode === 'number') return frame
    return { type: 'announcement', text: typeof frame?.text === 'string' ? frame.text : data }
  } catch {
    return { type: 'announcement', text: data }
  }
}
