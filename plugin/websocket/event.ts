import type { IncomingHttpHeaders } from 'node:http'
import { decode, EventHeader, EventType } from '../headers.ts'

/** The facts about one event on a socket, read from its `ce-*` headers. */
export interface SocketEvent {
  type: 'open' | 'message' | 'close'
  /** The same when the event is delivered again: `<connection id>/<number>`. */
  id: string
  /** Where to push to this socket. */
  connectionId: string
  /** 0 is open. */
  number: number
  time: Date
  /** What the last `reply.state` of this connection was. */
  state: string | null
  /** Of a close: the code and reason of the close frame, and how long the socket was open, in ms. */
  closeCode: number | null
  closeReason: string | null
  duration: number | null
}

const TYPES = new Map<string, SocketEvent['type']>([
  [EventType.open, 'open'],
  [EventType.message, 'message'],
  [EventType.close, 'close'],
])

/**
 * Reads the event from a request's headers.
 * Returns undefined for a request that is no event. Facts that are missing, as they may be in a test or from curl,
 * are empty: '', 0, null, and the present time.
 */
export function readEvent(headers: IncomingHttpHeaders): SocketEvent | undefined {
  const type = TYPES.get(text(headers, EventHeader.type) ?? '')
  if (type === undefined) return undefined
  return {
    type,
    id: text(headers, EventHeader.id) ?? '',
    connectionId: text(headers, EventHeader.connectionId) ?? '',
    number: number(headers, EventHeader.number) ?? 0,
    time: new Date(text(headers, EventHeader.time) ?? Date.now()),
    state: readState(headers),
    closeCode: number(headers, EventHeader.closeCode),
    closeReason: text(headers, EventHeader.closeReason),
    duration: number(headers, EventHeader.duration),
  }
}

/** The state that the gateway carries for this connection, null if none. */
export function readState(headers: IncomingHttpHeaders): string | null {
  return text(headers, EventHeader.state)
}

function text(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' ? decode(value) : null
}

function number(headers: IncomingHttpHeaders, name: string): number | null {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? Number(value) : null
}
