// @ts-check
/**
 * The client's half of a session: a socket of the gateway that outlives its connections (docs/protocol.md, Sessions).
 * Both sides count whole messages, so that a connection begins where the one before it broke.
 */

import { emit, OPEN } from './socket-target.js'

/** @import { Transport } from './interface.js' */
/** @import { Kept } from './kept.js' */

export class Session {
  #options
  /** @type {Set<Transport>} connections that were given up */ #left = new Set()
  #key = newNonce() // names it in the next dial: a nonce, or the token
  #received = 0
  /** There is a socket at the gateway that the next dial resumes. */
  isOn = false
  /** The first message of the newest connection has not come, and will be a session frame. */
  isAsked = false
  /** The newest connection goes on where the one before it broke. */
  isResumed = false

  /**
   * @param {object} options
   * @param {boolean} options.session whether it is wanted; if not, it is never on
   * @param {Kept} options.kept what is to be confirmed
   * @param {EventTarget} options.target of the event `lost`
   */
  constructor(options) {
    this.#options = options
  }

  /** A dial begins. @param {string | URL} url @returns {string | URL} with the session in its query */
  ask(url) {
    this.isAsked = this.#options.session
    if (!this.isAsked) return url
    const asked = new URL(url, globalThis.location?.href)
    const name = this.isOn ? `${this.#key}.${this.#received}` : `new.${this.#key}`
    asked.search += `${asked.search && '&'}ws-session=${name}`
    return asked
  }

  /**
   * Reads the first message of a connection. One that answers another dial belongs to the application.
   * @param {any} data @returns {boolean} whether it was a session frame
   */
  begin(data) {
    const frame = parse(data)
    const isOurs = frame?.for === this.#key
    this.isAsked = false
    this.isResumed = isOurs && this.isOn && frame.resumed
    if (this.isResumed) this.#options.kept.confirm(frame.received)
    else if (this.isOn) this.lose()
    this.#options.kept.rewind()
    this.#closeLeft()
    this.isOn = isOurs && !!frame.session
    this.#key = this.isOn ? frame.session : newNonce()
    return isOurs
  }

  /** Reads a further message. @param {any} data @returns {any} the application's message; undefined for a control text */
  read(data) {
    const isMarked = data[0] === '\0'
    if (isMarked) data = data.slice(1)
    if (isMarked && data[0] !== '\0') return void this.#options.kept.confirm(parse(data)?.received)
    this.#received += 1
    return data
  }

  /**
   * Gives up a connection. A close frame that arrives after all would end the session, so an open one is closed when
   * another has replaced it. @param {Transport} transport
   */
  leave(transport) {
    if (this.isAsked) transport.onmessage = null // A session frame that comes too late is no message.
    if (this.#options.session && transport.readyState === OPEN) this.#left.add(transport)
    else transport.close()
  }

  /** It is over, and the application did not close it. */
  lose() {
    this.end()
    emit(this.#options.target, 'lost', { unsent: this.#options.kept.clear() })
  }

  /** It is over: the next dial asks for a new one. */
  end() {
    this.isOn = false
    this.#key = newNonce()
    this.#received = 0
    this.#closeLeft()
  }

  #closeLeft() {
    for (const transport of this.#left) transport.close()
    this.#left.clear()
  }
}

/** @returns {string} more than 128 random bits in 22 characters, also in a page without https */
function newNonce() {
  const text = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(17))))
  return text.replace(/\W/g, '_').slice(0, 22)
}

/** @param {any} data @returns {any} undefined when it is no JSON */
function parse(data) {
  try {
    return JSON.parse(data)
  } catch {}
}
