// Reads an event from the request of any Node framework, and from a Web `Request`.
import { EventHeader, EventType } from '../headers.ts'
import { NotAnEventError } from './errors.ts'
import { type AnyHeaders, eventIn, headerOf, type SocketEvent, type TimerEvent } from './event.ts'
import { bodyOf, frameIn, type NodeRequest, rawBody, urlOf } from './frame-body.ts'
import { type Secret, Verifier } from './signature.ts'

type OfSocket = Pick<SocketEvent, 'id' | 'connectionId' | 'number' | 'time' | 'transport' | 'state' | 'user'>

/** The handshake: the socket opens unless the answer refuses it. */
export type OpenEvent = OfSocket & { type: 'open' }
/** A message of the client: a string for a text frame, a Buffer for a binary one. */
export type MessageEvent = OfSocket & { type: 'message'; frame: string | Buffer }
/** The time that `reply.alarm` named is over. */
export type AlarmEvent = OfSocket & { type: 'alarm' }
/** The connection of a session is lost, and the client may come back. */
export type DetachEvent = OfSocket & { type: 'detach' }
/** The client of a session is back. With `check`, an error refuses it and ends the socket. */
export type ResumeEvent = OfSocket & { type: 'resume' }
/** The socket has ended. May come more than once, then with the same id. */
export type CloseEvent = OfSocket & Pick<SocketEvent, 'closeCode' | 'closeReason' | 'duration'> & { type: 'close' }
/** All that the gateway sends; `type` decides what each has. */
export type GatewayEvent = OpenEvent | MessageEvent | AlarmEvent | DetachEvent | ResumeEvent | CloseEvent | TimerEvent

export interface ReadOptions {
  /** What a body parser has made of the request, where it is not at `request.body`: of Koa, Hapi and others. */
  body?: unknown
  /** Refuses events that were not signed with the gateway's HANDLER_SECRET, or with one of these during a rotation. */
  secret?: Secret
  /** The path and query as the gateway has sent it, for `secret`, where a framework has changed them. */
  url?: string
  /** How many bytes a frame may have: what MAX_MESSAGE_BYTES is. Default 1 MiB. */
  limit?: number
}

const EXPECTED = `expected an event of framegate, which has the header ${EventHeader.type}: ${Object.values(EventType).join(', ')}`
const DEFAULT_LIMIT = 1024 * 1024

/**
 * Reads an event, and the frame of a message. A body that Express, Nest or another framework has parsed is used as
 * far as it can be; the best is one that is still to be read, or a Buffer.
 * @throws {NotAnEventError} 400 when the request is no event
 * @throws {SignatureError} 401 when it is not signed with `secret`
 * @throws {HttpError} 413 when the frame has more than `limit` bytes
 * @throws {TypeError} when the body was parsed into something from which the frame cannot be made, or its bytes with
 *   `secret`
 */
export async function readEvent(request: NodeRequest | Request, options: ReadOptions = {}): Promise<GatewayEvent> {
  const headers: AnyHeaders = request.headers
  const event = eventIn(headers)
  if (event === undefined) throw new NotAnEventError(`${EXPECTED}; got ${describe(headers)}`)
  const verifier = Verifier.of(options)
  if (event.type !== 'message' && verifier === undefined) return event as GatewayEvent
  verifier?.verifyContext({ method: request.method ?? '', url: options.url ?? urlOf(request), headers })
  const length = headerOf(headers, 'content-length')
  const body = options.body ?? (await bodyOf(request, options.limit ?? DEFAULT_LIMIT))
  verifier?.verifyBody(headers, rawBody(body, length))
  if (event.type !== 'message') return event as GatewayEvent
  const frame = frameIn(body, headerOf(headers, 'content-type'), length)
  return { ...event, type: 'message', frame }
}

function describe(headers: AnyHeaders): string {
  const type = headerOf(headers, EventHeader.type)
  return type === null ? 'a request without it' : JSON.stringify(type)
}
