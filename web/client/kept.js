// @ts-check
/** Messages that wait for a connection, in order and within a bound. */

/** @import { Data } from './interface.js' */

export class Kept {
  /** @type {Data[]} */
  #messages = []
  #limit
  bytes = 0

  /** @param {number} limit the most bytes that wait */
  constructor(limit) {
    this.#limit = limit
  }

  /**
   * Keeps a copy, as the caller may change a buffer later.
   * @param {Data} data
   * @throws {DOMException} InvalidStateError: there is no room; nothing is kept or dropped
   */
  add(data) {
    const size = sizeOf(data)
    if (this.bytes + size > this.#limit) {
      throw new DOMException('not sent: the connection is not open, and no more is kept', 'InvalidStateError')
    }
    this.#messages.push(copyOf(data))
    this.bytes += size
  }

  /** @returns {Data | undefined} the oldest, which is not kept any more */
  take() {
    const data = this.#messages.shift()
    if (data !== undefined) this.bytes -= sizeOf(data)
    return data
  }

  clear() {
    this.#messages = []
    this.bytes = 0
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
