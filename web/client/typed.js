// @ts-check
/**
 * A client whose messages have the types that the app's schemas have (docs/asyncapi.md). The npm package exports it as
 * framegate/client/typed.
 *   const client = createClient('wss://example.com')     in TypeScript: createClient<typeof app>(…)
 *   const socket = client.open('/ws/chat/:room', { params: { room: 'lobby' } })
 *   socket.onframe = (frame) => show(frame)
 *   socket.send({ say: 'hi' })
 */
import { ReconnectingSocket } from './reconnecting-socket.js'

/** @import { OpenOptions } from './typed-interface.js' */

/** @typedef {import('./typed-interface.js').ErrorFrame} ErrorFrame */

/**
 * @template App
 * @typedef {import('./typed-interface.js').Client<App>} Client
 */

/** The name behind a colon, with its pattern, or `*`. */
const PARAMETER = /:([^-./(?:]+)(?:\([^/]*\))?\??|\*/g

/**
 * A socket whose frames are JSON in both directions.
 * @template Message, Frame
 */
class TypedSocket {
  /** @type {((frame: Frame) => void) | null} called for each frame; a binary one is a Blob, and text that is no JSON a string */
  onframe = null

  /** @param {ReconnectingSocket} socket */
  constructor(socket) {
    /** What is below: for `state`, `open`, `close` and all its other events. */
    this.socket = socket
    socket.addEventListener('message', ({ data }) => this.onframe?.(typeof data === 'string' ? parse(data) : data))
  }

  /**
   * Sends a message. It is kept while there is no connection.
   * @param {Message} message
   * @throws {DOMException} as `ReconnectingSocket.send` does
   */
  send(message) {
    this.socket.send(JSON.stringify(message))
  }

  /**
   * Ends the socket.
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason) {
    this.socket.close(code, reason)
  }
}

/**
 * A client of an app. `base` is where its gateway is, in a page by default the page's own host.
 * @template App
 * @param {string | URL} [base]
 * @returns {Client<App>}
 */
export function createClient(base = globalThis.location?.href) {
  /** @type {(path: string, options?: OpenOptions) => TypedSocket<unknown, unknown>} */
  const open = (path, { params = {}, query, protocols, ...options } = {}) =>
    new TypedSocket(new ReconnectingSocket(urlOf(base, pathOf(path, params), query), protocols, options))
  return /** @type {any} */ ({ open })
}

/**
 * @param {string} path
 * @param {Record<string, string | number>} params
 * @throws {TypeError} when one is missing
 */
function pathOf(path, params) {
  return path.replace(PARAMETER, (found, name = '*') => {
    if (params[name] === undefined) throw new TypeError(`${path} needs the parameter ${name}`)
    const value = String(params[name])
    return found === '*' ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value)
  })
}

/**
 * @param {string | URL} base
 * @param {string} path
 * @param {object} [query]
 */
function urlOf(base, path, query = {}) {
  const url = new URL(path, base)
  url.protocol = url.protocol.replace('http', 'ws')
  for (const [name, value] of Object.entries(query))
    for (const each of [value].flat()) if (each !== undefined) url.searchParams.append(name, String(each))
  return url.href
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
