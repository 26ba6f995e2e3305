/**
 * The types of ReconnectingSocket. There is no code here: the package's declarations are made from these comments.
 * They need the types of the DOM, or those of Node (@types/node).
 *
 * @typedef {string | ArrayBuffer | ArrayBufferView | Blob} Data
 * @typedef {string | string[]} Protocols
 *
 * @typedef {object} End how a connection ended
 * @property {number} code RFC 6455, section 7.4; 1006 when there was no close frame, or no connection
 * @property {string} reason
 * @property {boolean} wasClean whether both sides sent a close frame
 *
 * @typedef {'connecting' | 'open' | 'waiting' | 'closing' | 'closed'} State "waiting" for the next dial
 * @typedef {{ state: State, delay?: number } & Partial<End>} StateDetail "waiting" has `delay`, in milliseconds, and how
 *   the connection or the dial ended; "closed" has the end, too
 *
 * @typedef {object} EventMap
 * @property {Event & { reconnected?: boolean }} open a connection opened, with a session: a new
 *   one; `reconnected` is true from the second one on
 * @property {Event} resume a session goes on over a new connection: nothing was missed, nothing came twice
 * @property {Event & { unsent: Data[] }} lost a session is over, and not by `close`: the messages in `unsent` were not
 *   confirmed, so they may have arrived or not. They are not sent again
 * @property {MessageEvent} message
 * @property {Event & { error?: unknown }} error a connection broke, or a dial failed; `error` is known in Node, and when
 *   `url` or `protocols` threw it
 * @property {Event & End} close it is over: nothing dials again
 * @property {CustomEvent<StateDetail>} state `socket.state` has changed
 *
 * @typedef {{
 *   addEventListener<K extends keyof EventMap>(type: K, listener: (event: EventMap[K]) => any, options?: boolean | { once?: boolean, passive?: boolean, capture?: boolean, signal?: AbortSignal }): void
 *   addEventListener(type: string, listener: ((event: any) => any) | { handleEvent(event: any): any } | null, options?: boolean | { once?: boolean, passive?: boolean, capture?: boolean, signal?: AbortSignal }): void
 *   removeEventListener(type: string, listener: ((event: any) => any) | { handleEvent(event: any): any } | null, options?: boolean | { capture?: boolean }): void
 *   dispatchEvent(event: Event): boolean
 * }} Target an EventTarget that knows its events
 *
 * @typedef {object} Transport what is used of a WebSocket: that of browsers, of Node, or of the npm package `ws`
 * @property {number} readyState
 * @property {number} bufferedAmount
 * @property {any} binaryType
 * @property {string} url
 * @property {string} protocol
 * @property {string} extensions
 * @property {any} onopen
 * @property {any} onmessage
 * @property {any} onerror
 * @property {any} onclose
 * @property {(data: any) => void} send
 * @property {(code?: number, reason?: string) => void} close
 *
 * @typedef {object} Clock
 * @property {(then: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 *
 * @typedef {object} Network what reports that the browser is offline, online, hidden or visible: a window, or a worker
 * @property {{ onLine?: boolean }} [navigator]
 * @property {{ hidden?: boolean }} [document]
 * @property {(type: string, listener: (event: Event) => void) => void} [addEventListener]
 * @property {(type: string, listener: (event: Event) => void) => void} [removeEventListener]
 *
 * @typedef {object} Options all times are in milliseconds
 * @property {number} [min] ceiling of the first delay (500)
 * @property {number} [max] ceiling of every delay (30000)
 * @property {number} [stable] how long a connection must be open to count as good: then delays start over (5000)
 * @property {number} [timeout] how long a dial may take, with `url` and `protocols` (10000)
 * @property {number} [answer] how long the answer to a message may take (0: any time; not every message is answered)
 * @property {boolean} [session] whether to ask the gateway for a session (false)
 * @property {number} [keep] bytes of messages that are kept while there is no connection (65536), and with a session
 *   until they are confirmed (1048576)
 * @property {(end: End) => boolean} [retry] whether to dial again after this end (see `worthRetrying`)
 * @property {new (url: string | URL, protocols?: string | string[]) => Transport} [WebSocket] in place of the global one
 * @property {() => number} [random] for tests, as are the next two
 * @property {Clock} [clock]
 * @property {Network} [network]
 */

export {}
