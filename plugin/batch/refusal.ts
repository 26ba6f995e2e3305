// Answers to requests that never reach a route.
import type { ServerResponse } from 'node:http'
import { errorBody } from '../events/errors.ts'

/** Answers with an error in the form of Fastify's own. */
export function refuse(response: ServerResponse, status: number, message: string): void {
  const body = errorBody(status, message)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

/** Answers that nothing was done: the gateway may send the request again over another connection. */
export function turnAway(response: ServerResponse): void {
  response.setHeader('retry-after', '0')
  response.setHeader('connection', 'close')
  refuse(response, 503, 'the handler is closing')
}
