// @ts-check
/** The part of WebSocket's interface that needs no connection: the constants, and handlers such as `onmessage`. */

/** @import { EventMap, Target } from './interface.js' */

export const CONNECTING = 0
export const OPEN = 1
export const CLOSING = 2
export const CLOSED = 3

const TypedTarget = /** @type {new () => Target} */ (/** @type {unknown} */ (EventTarget))

export class SocketTarget extends TypedTarget {
  /** @type {0} */ static CONNECTING = CONNECTING
  /** @type {1} */ static OPEN = OPEN
  /** @type {2} */ static CLOSING = CLOSING
  /** @type {3} */ static CLOSED = CLOSED
  /** @type {0} */ CONNECTING = CONNECTING
  /** @type {1} */ OPEN = OPEN
  /** @type {2} */ CLOSING = CLOSING
  /** @type {3} */ CLOSED = CLOSED
  /** @type {((event: EventMap['open']) => any) | null} */ onopen = null
  /** @type {((event: EventMap['message']) => any) | null} */ onmessage = null
  /** @type {((event: EventMap['error']) => any) | null} */ onerror = null
  /** @type {((event: EventMap['close']) => any) | null} */ onclose = null
  /** @type {((event: EventMap['state']) => any) | null} */ onstate = null

  /** @type {((event: EventMap['resume']) => any) | null} */ onresume = null
  /** @type {((event: EventMap['lost']) => any) | null} */ onlost = null

  constructor() {
    super()
    for (const type of /** @type {const} */ (['open', 'message', 'error', 'close', 'state', 'resume', 'lost'])) {
      this.addEventListener(type, (/** @type {any} */ event) => this[`on${type}`]?.(event))
    }
  }
}

/** @param {EventTarget} target @param {string} type @param {object} fields of the event */
export function emit(target, type, fields) {
  target.dispatchEvent(Object.assign(new Event(type), fields))
}
