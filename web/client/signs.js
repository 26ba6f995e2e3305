// @ts-check
/** What the browser reports about its network and about the page: when to dial again, and when a connection is dead. */

/** @import { Network, State } from './interface.js' */

/**
 * @param {object} options
 * @param {Network} options.network
 * @param {() => void} options.wake is called when a dial is worth trying now
 * @param {(reason: string) => void} options.fail is called when the browser has lost its network
 * @returns {(state: State) => void} listens for what matters in a state
 */
export function watcher({ network, wake, fail }) {
  const dial = (/** @type {Event} */ { type }) => {
    if (type === 'online' || !network.document?.hidden) wake()
  }
  const offline = () => fail('the browser is offline')
  return (state) => {
    for (const [type, listener, isOn] of /** @type {const} */ ([
      ['online', dial, state === 'waiting'],
      ['visibilitychange', dial, state === 'waiting'],
      ['offline', offline, state === 'open'],
    ])) {
      network[isOn ? 'addEventListener' : 'removeEventListener']?.(type, listener)
    }
  }
}
