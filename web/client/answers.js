// @ts-check
/**
 * Notices that a connection is dead: a message was sent and none came within the time for an answer, or nothing came at all
 * in a session, in which the gateway sends something at least every 20 s.
 */

/** @import { Clock, Transport } from './interface.js' */

const SILENCE = 30_000 // ms

export class Answers {
  #options
  #missing = 0
  /** @type {any} */ #timer

  /**
   * @param {object} options
   * @param {number} options.answer milliseconds, or 0 to expect none
   * @param {{ isOn: boolean }} options.session
   * @param {Clock} options.clock
   * @param {(reason: string) => void} options.fail is called when the connection is dead
   */
  constructor(options) {
    this.#options = options
  }

  /** A message was sent. Further ones do not postpone the deadline. @param {Transport} transport */
  expect(transport) {
    this.#missing += 1
    if (this.#missing === 1) this.#restart(transport)
  }

  /**
   * Something came. A message counts as the answer to the oldest that has none.
   * @param {Transport} transport @param {number} messages 1, or 0 for what is none
   */
  came(transport, messages) {
    this.#missing = Math.max(0, this.#missing - messages)
    this.#restart(transport)
  }

  /** Expects nothing any more. */
  forget() {
    this.#missing = 0
    this.#options.clock.clearTimeout(this.#timer)
  }

  /** @param {Transport} transport */
  #restart(transport) {
    const { answer, clock, session } = this.#options
    const time = (this.#missing && answer) || (session.isOn && SILENCE)
    clock.clearTimeout(this.#timer)
    if (time) this.#wait(transport, transport.bufferedAmount, time)
  }

  /**
   * A large message on a slow network has more time, as long as its bytes keep leaving.
   * @param {Transport} transport @param {number} unsent bytes @param {number} time milliseconds
   */
  #wait(transport, unsent, time) {
    const { clock, fail } = this.#options
    this.#timer = clock.setTimeout(() => {
      const left = transport.bufferedAmount
      if (left > 0 && left < unsent) this.#wait(transport, left, time)
      else fail(`no answer within ${time} ms`)
    }, time)
  }
}
