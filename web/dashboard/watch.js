/**
 * Repeats a request to the gateway while the page is visible. The longer an answer takes, the less often it is asked for, to
 * spare the gateway.
 */

const SHARE = 20 // An answer that took one second is asked for again after 20.

/**
 * @template T
 * @typedef {object} Options
 * @property {number} every milliseconds between an answer and the next request, at least
 * @property {(signal: AbortSignal) => Promise<T>} ask
 * @property {(answer: T) => void} show
 * @property {(error: Error) => void} [fail]
 */

/** @template T */
export class Watch {
  #options
  #timer
  #running
  #follow = () => {
    if (document.hidden) this.#rest()
    else if (!this.#running && !this.#timer) this.#turn()
  }

  /** @param {Options<T>} options */
  constructor(options) {
    this.#options = options
  }

  /** Asks now and then repeatedly. A request that is still open is cancelled. */
  start() {
    this.#rest()
    document.addEventListener('visibilitychange', this.#follow)
    this.#follow()
  }

  stop() {
    document.removeEventListener('visibilitychange', this.#follow)
    this.#rest()
  }

  #rest() {
    clearTimeout(this.#timer)
    this.#running?.abort()
    this.#timer = this.#running = undefined
  }

  async #turn() {
    const { every, ask, show, fail } = this.#options
    const running = (this.#running = new AbortController())
    const began = performance.now()
    const { answer, error } = await ask(running.signal).then(
      (answer) => ({ answer }),
      (error) => ({ error }),
    )
    if (this.#running !== running) return
    this.#running = undefined
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#turn()
      },
      error ? every : Math.max(every, SHARE * (performance.now() - began)),
    )
    if (error) fail?.(error)
    else show(answer)
  }
}
