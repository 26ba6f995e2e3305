// Makes of one function for events what a Node framework or a Web runtime takes as a handler.
import type { ServerResponse } from 'node:http'
import type { Data } from '../frame-data.ts'
import { errorBody, HttpError, statusOf } from './errors.ts'
import type { NodeRequest } from './frame-body.ts'
import { type Frames, isFrames } from './frame-stream.ts'
import { type GatewayEvent, type ReadOptions, readEvent } from './read-event.ts'
import { type Answer, Reply, responseOf, type StreamAnswer, writeAnswer } from './reply.ts'
import { Verifier } from './signature.ts'

type Frame = Data | Frames | undefined | void

/**
 * What an event does: its effects are on `reply`, and what it returns is the frame that answers. The answer to a
 * message may be an async generator, which streams: each value that it yields is a frame. `reply.signal` is aborted
 * when the client leaves.
 */
export type EventHandler<Rest extends unknown[] = []> = (
  event: GatewayEvent,
  reply: Reply,
  ...rest: Rest
) => Frame | Promise<Frame>

/** How the requests of a handler are read. */
export type HandlerOptions = Pick<ReadOptions, 'limit' | 'secret'>

/**
 * A handler for `node:http`, Express and other frameworks on it: `app.post('/ws/chat', toNodeHandler(handler))`.
 *
 * What `handler` throws with a `statusCode`, as `Close` and `HttpError`, is the answer. Other errors go to `next`
 * where there is one; without it the answer is 500, and the error is written to stderr.
 * @throws {TypeError} for a wrong `secret`, at once
 */
export function toNodeHandler<Request extends NodeRequest = NodeRequest>(
  handler: EventHandler<[request: Request]>,
  options: HandlerOptions = {},
): (request: Request, response: ServerResponse, next?: (error: unknown) => void) => Promise<void> {
  Verifier.of(options)
  return async (request, response, next) => {
    try {
      writeAnswer(response, await answerOf(request, (event, reply) => handler(event, reply, request), options))
    } catch (error) {
      if (next) return next(error)
      console.error(error)
      writeAnswer(response, plainAnswer(new HttpError(500, 'the handler failed')))
    }
  }
}

/**
 * A handler for Next's route handlers, Hono, Deno, Bun and all that take a Web `Request`:
 * `export const POST = toWebHandler(handler)`. What stands behind the request, as Next's context, goes to `handler`.
 *
 * What `handler` throws with a `statusCode` is the answer. It rejects with other errors, which the framework reports.
 * @throws {TypeError} for a wrong `secret`, at once
 */
export function toWebHandler<Rest extends unknown[]>(
  handler: (event: GatewayEvent, reply: Reply, request: Request, ...rest: Rest) => Frame | Promise<Frame>,
  options: HandlerOptions = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  Verifier.of(options)
  return async (request, ...rest) =>
    responseOf(await answerOf(request, (event, reply) => handler(event, reply, request, ...rest), options))
}

/** The answer to a request; rejects with an error that has no status. */
async function answerOf(
  request: NodeRequest | Request,
  handler: EventHandler,
  options: HandlerOptions,
): Promise<Answer | StreamAnswer> {
  let reply: Reply | undefined
  try {
    const event = await readEvent(request, options)
    reply = new Reply(event)
    const frame = await handler(event, reply)
    return isFrames(frame) ? await reply.stream(frame) : reply.answer(frame ?? undefined)
  } catch (error) {
    if (statusOf(error) === undefined) throw error
    return reply ? reply.answerError(error) : plainAnswer(error as HttpError)
  }
}

function plainAnswer({ statusCode, message }: HttpError): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  return { status: statusCode, headers, body: errorBody(statusCode, message) }
}
