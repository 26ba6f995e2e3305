// An event: what the gateway reports about it, in `ce-*` headers.
import type { IncomingHttpHeaders } from 'node:http'
import { decode, EventHeader, EventType } from '../headers.ts'

/** One event on a socket. */
export interface SocketEvent {
  type: 'open' | 'message' | 'alarm' | 'detach' | 'resume' | 'close' | 'timer'
  /** The same when the event is delivered again: `<connection id>/<number>`. */
  id: string
  /** Where to push to this socket. */
  connectionId: string
  /** How many events of the socket came earlier; 0 is open. */
  number: number
  time: Date
  /** How the client connected: with a WebSocket, or by an event stream, which has no way up. */
  transport: 'websocket' | 'sse'
  /** The last `reply.state` of this connection. */
  state: string | null
  /** The last `reply.user` of this connection. */
  user: string | null
  /** Of a close: the code and reason of the close frame, and how long the socket was open, in ms. */
  closeCode: number | null
  closeReason: string | null
  duration: number | null
}

/** What `timer` gets: it belongs to no socket. `time` is when it was due. */
export type TimerEvent = Pick<SocketEvent, 'id' | 'time'> & { type: 'timer' }

/** The headers of a Node request, with names in lower case, or those of a Web `Request`. */
export type AnyHeaders = IncomingHttpHeaders | Headers

const TYPES = new Map<string, SocketEvent['type']>([
  [EventType.open, 'open'],
  [EventType.message, 'message'],
  [EventType.alarm, 'alarm'],
  [EventType.detach, 'detach'],
  [EventType.resume, 'resume'],
  [EventType.close, 'close'],
  [EventType.timer, 'timer'],
])

/**
 * Reads the event from a request's headers.
 * Returns undefined for a request that is no event. Headers may be missing in a test or from curl: the defaults
 * are '', 0, null, and the present time.
 */
export function eventIn(headers: AnyHeaders): SocketEvent | undefined {
  const type = TYPES.get(text(headers, EventHeader.type) ?? '')
  if (type === undefined) return undefined
  return {
    type,
    id: text(headers, EventHeader.id) ?? '',
    connectionId: text(headers, EventHeader.connectionId) ?? '',
    number: number(headers, EventHeader.number) ?? 0,
    time: new Date(text(headers, EventHeader.time) ?? Date.now()),
    transport: text(headers, EventHeader.transport) === 'sse' ? 'sse' : 'websocket',
    state: stateIn(headers),
    user: userIn(headers),
    closeCode: number(headers, EventHeader.closeCode),
    closeReason: text(headers, EventHeader.closeReason),
    duration: number(headers, EventHeader.duration),
  }
}

/** The state that the gateway carries for this connection, null if none. */
export function stateIn(headers: AnyHeaders): string | null {
  return text(headers, EventHeader.state)
}

/** The user that a handler has named for this connection, null if none. */
export function userIn(headers: AnyHeaders): string | null {
  return text(headers, EventHeader.user)
}

/** The value of a header as it came; null when it is missing, or came several times as a list. */
export function headerOf(headers: AnyHeaders, name: string): string | null {
  const value = isWeb(headers) ? headers.get(name) : headers[name]
  return typeof value === 'string' ? value : null
}

/** The names of all headers, in lower case. */
export function headerNames(headers: AnyHeaders): string[] {
  return isWeb(headers) ? [...headers.keys()] : Object.keys(headers)
}

/** Not `instanceof`: frameworks and runtimes have a class `Headers` of their own. */
function isWeb(headers: AnyHeaders): headers is Headers {
  return typeof headers.get === 'function'
}

function text(headers: AnyHeaders, name: string): string | null {
  const value = headerOf(headers, name)
  return value === null ? null : decode(value)
}

function number(headers: AnyHeaders, name: string): number | null {
  const value = headerOf(headers, name)
  return value === null || value === '' ? null : Number(value)
}
