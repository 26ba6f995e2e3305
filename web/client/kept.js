// @ts-check
/** Messages that wait for a connection, or for the gateway's confirmation, in order and within a bound. */

/** @import { Data } from './interface.js' */

export class Kept {
  /** @type {Data[]} */
  #messages = []
  #limit
  #sent = 0 // so many of them went into the newest connection
  #confirmed = 0 // so many were let go since the session began
  bytes = 0

  /** @param {number} limit the most bytes that are kept */
  constructor(limit) {
    this.#limit = limit
  }

  /**
   * Keeps a copy, as the caller may change a buffer later.
   * @param {Data} data
   * @param {boolean} [isNext] whether it goes before those that were not sent
   * @throws {DOMException} InvalidStateError: there is no room; nothing is kept or dropped
   */
  add(data, isNext) {
    const size = sizeOf(data)
    if (this.bytes + size > this.#limit) {
      throw new DOMException('no room to keep it', 'InvalidStateError')
    }
    this.#messages.splice(isNext ? this.#sent : this.#messages.length, 0, copyOf(data))
    this.bytes += size
  }

  /** @param {boolean} isKept until it is confirmed @returns {Data | undefined} the oldest that was not sent, and now is */
  next(isKept) {
    const data = this.#messages[this.#sent]
    if (data !== undefined) this.#sent += 1
    if (!isKept) this.#letGo(1)
    return data
  }

  /** Lets go what arrived. @param {number} total so many messages arrived since the session began */
  confirm(total) {
    if (!(total > this.#confirmed)) return
    this.#letGo(total - this.#confirmed)
    this.#confirmed = total
  }

  /** Begins on another connection: everything that is left is sent over it. */
  rewind() {
    this.#sent = 0
  }

  /** Lets all go. @returns {Data[]} what was left */
  clear() {
    const messages = this.#messages
    this.#messages = []
    this.bytes = this.#sent = this.#confirmed = 0
    return messages
  }

  /** @param {number} count of the oldest */
  #letGo(count) {
    for (const data of this.#messages.splice(0, count)) {
      this.bytes -= sizeOf(data)
      this.#sent -= 1
    }
  }
}

/** @param {any} data as WebSocket's send takes it: what is neither Blob nor buffer becomes text @returns {number} bytes on the wire */
export function sizeOf(data) {
  return data.size ?? data.byteLength ?? new TextEncoder().encode(data).length
}

/** @param {Data} data @returns {Data} */
function copyOf(data) {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
  return data instanceof ArrayBuffer ? data.slice(0) : data
}
