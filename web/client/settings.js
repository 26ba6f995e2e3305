// @ts-check
/** The defaults of a ReconnectingSocket's options. */

/** @import { Options } from './interface.js' */

/** @param {Options} options @returns {Required<Options>} */
export function withDefaults(options) {
  return {
    min: 500,
    max: 30_000,
    stable: 5_000,
    timeout: 10_000,
    answer: 0,
    session: false,
    keep: options.session ? 1_048_576 : 65_536,
    retry: worthRetrying,
    WebSocket: globalThis.WebSocket,
    random: Math.random,
    clock: globalThis,
    network: globalThis,
    ...options,
  }
}

/**
 * What is dialed again by default: going away, no close frame, server error, restart, try later, bad gateway. Another dial
 * would meet 1000, a protocol or policy error, or an application's code (3000 to 4999) again.
 * @param {{ code: number }} end
 * @returns {boolean}
 */
export const worthRetrying = ({ code }) => [1001, 1006, 1011, 1012, 1013, 1014].includes(code)
