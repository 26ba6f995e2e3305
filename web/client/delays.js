// @ts-check
/**
 * How long to wait before each dial: a random part of a ceiling that doubles ("full jitter"), so that clients do not all
 * return to a restarted server in the same moment.
 */

/** @import { Options } from './interface.js' */

export class Delays {
  #settings
  #tries = 0

  /** @param {Required<Options>} settings */
  constructor(settings) {
    this.#settings = settings
  }

  /** @returns {number} milliseconds */
  next() {
    const { min, max, random, network } = this.#settings
    const ceiling = Math.min(max, min * 2 ** this.#tries)
    this.#tries += 1
    // The report may be wrong, so it does not wait for the browser to be online.
    return network.navigator?.onLine === false ? max : Math.round(random() * ceiling)
  }

  reset() {
    this.#tries = 0
  }
}
