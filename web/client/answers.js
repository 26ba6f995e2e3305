// @ts-check
/** Notices that the server is silent: a message was sent, and no message came within the time for an answer. */

/** @import { Clock, Transport } from './interface.js' */

export class Answers {
  #time
  #clock
  #lose
  #missing = 0
  /** @type {any} */ #timer

  /**
   * @param {object} options
   * @param {number} options.answer milliseconds, or 0 to expect none
   * @param {Clock} options.clock
   * @param {(reason: string) => void} options.lose is called when an answer is missing
   */
  constructor({ answer, clock, lose }) {
    this.#time = answer
    this.#clock = clock
    this.#lose = lose
  }

  /** A message was sent. Further ones do not postpone the deadline. @param {Transport} transport */
  expect(transport) {
    this.#missing += 1
    if (this.#missing === 1) this.#restart(transport)
  }

  /** A message came. It counts as the answer to the oldest that has none. @param {Transport} transport */
  came(transport) {
    this.#missing = Math.max(0, this.#missing - 1)
    this.#restart(transport)
  }

  /** Expects nothing any more. */
  forget() {
    this.#missing = 0
    this.#clock.clearTimeout(this.#timer)
  }

  /** @param {Transport} transport */
  #restart(transport) {
    this.#clock.clearTimeout(this.#timer)
    if (this.#time > 0 && this.#missing > 0) this.#wait(transport, transport.bufferedAmount)
  }

  /**
   * A large message on a slow network has more time, as long as its bytes keep leaving.
   * @param {Transport} transport @param {number} unsent bytes
   */
  #wait(transport, unsent) {
    this.#timer = this.#clock.setTimeout(() => {
      const left = transport.bufferedAmount
      if (left > 0 && left < unsent) this.#wait(transport, left)
      else this.#lose(`no answer within ${this.#time} ms`)
    }, this.#time)
  }
}
