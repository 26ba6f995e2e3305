import { ReconnectingSocket } from './reconnecting-socket.js'

const MOST_WAITING = 10
const LATER = 2 // seconds until another try to join, when the server does not say
const ANSWER_MS = 20_000 // longer than the gateway waits for a handler that is away (HANDLER_WAIT)

/**
 * One person in one room, however often the connection breaks. It joins whenever the connection opens, and sends one message
 * at a time: the next when the one before was answered, so that it is clear what an error frame is about. A message that was
 * not answered when the connection broke is sent again, under the same `ref`.
 *
 * Events, with `detail`:
 *   "state"     { state, delay } as of ReconnectingSocket
 *   "frame"     what the room says: { type: "welcome" | "joined" | "left" | "said" | "announcement", … }
 *   "slow"      { seconds, joining } it goes on by itself after so long: that was over the rate, or the server is away
 *   "returned"  { ref, text, status } a message that the server does not take
 *   "refused"   { status } the server does not take the name; the connection is closed
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
    this.#socket = new ReconnectingSocket(url, [], { answer: ANSWER_MS })
    this.#socket.addEventListener('state', ({ detail }) => this.#enter(detail))
    this.#socket.addEventListener('message', ({ data }) => this.#receive(data))
  }

  get state() {
    return this.#socket.state
  }

  connect() {
    this.#socket.connect()
  }

  close() {
    this.#socket.close()
  }

  /** Returns false when so many wait already that this one is better kept. */
  say(ref, text) {
    if (this.#messages.length >= MOST_WAITING) return false
    this.#messages.push({ say: text, ref })
    this.#next()
    return true
  }

  #enter(detail) {
    this.#joined = false
    this.#asked = undefined
    this.#wait(0)
    this.#tell('state', detail)
    if (detail.state === 'open') this.#next()
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

/** Anybody may push to a room, with other words than the chat's own: what is no frame of the chat is shown as it is. */
function parse(data) {
  try {
    const frame = JSON.parse(data)
    if (typeof frame?.type === 'string' || typeof frame?.statusCode === 'number') return frame
    return { type: 'announcement', text: typeof frame?.text === 'string' ? frame.text : data }
  } catch {
    return { type: 'announcement', text: data }
  }
}
