// The routes that one `app.ws` adds: `POST path` for each event.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { describeSocket } from '../asyncapi/sockets.ts'
import { isFrames } from '../events/frame-stream.ts'
import { sessionHeader } from '../events/session.ts'
import { EffectHeader, EventHeader, EventType } from '../headers.ts'
import { FrameParser, withParser } from './frame-parser.ts'
import { sendFrames } from './reply.ts'
import type { SocketRoute } from './route-types.ts'

// `any` replaces a route's own types: they matter only between its schema and its handlers.
export type AnyRoute = SocketRoute<any, any, any, any, any, any>
type Handler = (this: FastifyInstance, request: any, reply: any) => unknown

/** Fastify builds code from the constraint's name, so it cannot be `ce-type`. */
const CONSTRAINT = 'ceType'

/** Lets routes differ by event. A route without the constraint, made without `app.ws`, gets every event of its path. */
export function routeByEvent(app: FastifyInstance): void {
  if (app.hasConstraintStrategy(CONSTRAINT)) return
  const strategy: any = {
    name: CONSTRAINT,
    mustMatchWhenDerived: false,
    storage: () => new Map(),
    deriveConstraint: (request: IncomingMessage) => request.headers[EventHeader.type],
  }
  app.addConstraintStrategy(strategy)
}

/**
 * Adds the routes of a socket, and of a timer; `batch`: whether its events may come in batches.
 * @throws {TypeError} for `schema.body` and `schema.response`, which are `message` and `reply` here, and for a wrong
 *   `session`
 */
export function addSocket(app: FastifyInstance, path: string, socket: AnyRoute & { batch: boolean }): FastifyInstance {
  const { schema = {}, open, message, alarm, detach, resume, close, timer, ...rest } = socket
  const { constraints, batch, session, ...options } = rest
  const { message: body, reply: answer, push: _, body: misplaced, response, ...shared } = schema
  if (misplaced !== undefined || response !== undefined) {
    throw new TypeError(`app.ws('${path}'): the schema of a frame is schema.message, of its answer schema.reply`)
  }
  const json = body !== undefined
  const parser = new FrameParser(app, options.bodyLimit, json)
  const add = (ceType: string, handler: Handler, frames: object = {}): void => {
    const route: any = {
      ...options,
      method: 'POST',
      url: path,
      handler,
      schema: { ...shared, ...frames },
      constraints: { ...constraints, [CONSTRAINT]: ceType },
    }
    withParser(app, parser, () => app.route(route))
  }
  if (timer) add(EventType.timer, answering(timer))
  if (timer && !open && !message && !alarm && !detach && !resume && !close) return app // no socket opens there
  describeSocket(app, path, { schema, takesMessages: message !== undefined, streams: isGenerator(message) })
  const replies = { ...(answer !== undefined && { response: { '2xx': answer } }) }
  const opening: Record<string, string> = {
    ...(batch && !isGenerator(message) && { [EffectHeader.batch]: '1' }),
    ...(session !== undefined && { [EffectHeader.session]: sessionHeader(session, Boolean(detach ?? resume)) }),
  }
  add(
    EventType.open,
    answering(open, (_request, reply) => reply.headers(opening)),
  )
  add(EventType.message, message ? answering(streaming(message), emptyFrame) : noMessages(path), {
    ...(json && { body }),
    ...replies,
  })
  add(EventType.alarm, answering(alarm), replies)
  add(EventType.detach, answering(detach))
  add(EventType.resume, answering(resume))
  add(EventType.close, answering(close))
  return app
}

/**
 * Makes a handler answer whatever it returns, undefined too, as Fastify does for asynchronous ones: a synchronous
 * handler that only subscribes must not leave its event without an answer.
 */
function answering(handler: Handler | undefined, before?: Handler): Handler {
  return function (request, reply) {
    before?.call(this, request, reply)
    const answer = handler?.call(this, request, reply)
    if (answer === undefined && !reply.sent) reply.send()
    return answer
  }
}

/** Lets a handler answer with a generator: what it yields are frames. */
function streaming(handler: Handler): Handler {
  return function (request, reply) {
    const send = (answer: unknown): unknown => (isFrames(answer) ? sendFrames(request, reply, answer) : answer)
    const answer = handler.call(this, request, reply)
    return answer instanceof Promise ? answer.then(send) : send(answer)
  }
}

/** A route of which every answer streams needs no batches. */
function isGenerator(handler: Handler | undefined): boolean {
  return Object.prototype.toString.call(handler) === '[object AsyncGeneratorFunction]'
}

/** A frame without bytes may come without a content type, and then without a body. */
function emptyFrame(request: any): void {
  if (request.body === undefined) request.body = ''
}

function noMessages(path: string): Handler {
  return () => {
    throw Object.assign(new Error(`${path} takes no messages: its app.ws has no message handler`), { statusCode: 404 })
  }
}
