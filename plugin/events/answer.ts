// How effects and a body become one HTTP answer, for Fastify's replies and for all others.
import { frameOfBody } from '../frame-data.ts'
import { isText } from '../headers.ts'
import { parseCloseHeader } from './close.ts'
import type { Effects } from './effects.ts'
import type { SocketEvent } from './event.ts'

/** What is known of an answer before its effects are added. */
export interface AnswerHead {
  status: number
  /** The header `ws-close` of an error that was thrown. */
  thrownClose: unknown
}

/** An open that fails is an HTTP answer to the client: there is no connection for effects to work on. */
export function isRefusal(
  effects: Effects,
  type: SocketEvent['type'] | undefined,
  { status, thrownClose }: AnswerHead,
): boolean {
  return isError(status) && type === 'open' && !effects.closes && thrownClose === undefined
}

/** Makes the close of a thrown error an effect among the others. */
export function addThrownClose(effects: Effects, { thrownClose }: AnswerHead): void {
  if (typeof thrownClose !== 'string') return
  const { code, reason } = parseCloseHeader(thrownClose)
  effects.close(code, reason)
}

/**
 * The effects document in place of a body, and the status that it takes. A body of null is an answer that returned
 * nothing: an empty one is an empty frame, as in an answer of its own.
 */
export function documentOf(
  effects: Effects,
  status: number,
  { body, contentType }: { body: string | Buffer | null; contentType: unknown },
): { status: number; body: string } {
  const isNothing = body === null || status === 204 || (body.length === 0 && isError(status))
  const noFrame = isNothing || (isError(status) && effects.closes)
  const frame = noFrame ? null : frameOfBody(body, isText(contentType))
  return { status: status === 204 ? 200 : status, body: effects.toDocument(frame) }
}

function isError(status: number): boolean {
  return status < 200 || status > 299
}
