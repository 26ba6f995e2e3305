// Errors that are answers, in the form of Fastify's own: JSON with statusCode, error and message.
import { STATUS_CODES } from 'node:http'

/**
 * Thrown by a handler, it is the answer. On open it refuses the handshake with this status; on a message the client
 * gets it as a frame: `throw new HttpError(403, 'log in first')`. `status` is 400 to 599.
 */
export class HttpError extends Error {
  override readonly name: string = 'HttpError'
  readonly statusCode: number

  constructor(statusCode: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.statusCode = statusCode
  }
}

/** A request that is no event of the gateway: status 400. */
export class NotAnEventError extends HttpError {
  override readonly name = 'NotAnEventError'
  readonly code = 'FRAMEGATE_NOT_AN_EVENT'

  constructor(message: string) {
    super(400, message)
  }
}

/** The JSON of an error. */
export function errorBody(statusCode: number, message: string): string {
  return JSON.stringify({ statusCode, error: STATUS_CODES[statusCode] ?? 'Error', message })
}

/** The status that an error asks for, as Fastify and Express read it; undefined when it asks for none. */
export function statusOf(error: unknown): number | undefined {
  const status = error instanceof Error ? (error as { statusCode?: unknown }).statusCode : undefined
  return Number.isInteger(status) && (status as number) >= 400 && (status as number) < 600
    ? (status as number)
    : undefined
}
