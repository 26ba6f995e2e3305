import type { IncomingMessage, Server } from 'node:http'
import type { FastifyInstance, FastifyPluginCallback, RouteOptions } from 'fastify'
import type { SocketEvent } from './event.ts'
import { FrameParser, withParser } from './frame-parser.ts'
import { gateOf } from './gate.ts'
import { Gateway, type GatewayOptions } from './gateway.ts'
import { EffectHeader, EventHeader, EventType } from './headers.ts'
import { decorate, keepCloseCode, type ReplyEffects, sendEffects } from './reply.ts'
import type { SocketRoute, SocketSchema } from './socket-route.ts'

export { Close } from './close.ts'
export type { Data } from './effects.ts'
export type {
  BatchItem,
  ConnectionFacts,
  ConnectionPage,
  Counts,
  GatewayOptions,
  GatewayStatus,
  Page,
  PushOptions,
  SendOptions,
  TopicCount,
  TopicPage,
} from './gateway.ts'
export { Gateway, GatewayError, GoneError, SlowReaderError, UnreachableError } from './gateway.ts'
export { EffectHeader, EventHeader, EventType, MediaType } from './headers.ts'
export type { ReplyEffects, SocketEvent, SocketRoute, SocketSchema }

export interface WebsocketOptions {
  /** Whether the gateway may send events in batches. Default true. */
  batch?: boolean
  /** Where `app.gateway` finds the gateway's control API, when the environment does not say it. */
  gateway?: GatewayOptions
}

declare module 'fastify' {
  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    /**
     * Adds a socket: one route `POST path` for each of its events. Returns the instance.
     * @throws {TypeError} for `schema.body` and `schema.response`, which are `message` and `reply` here
     */
    ws<const Schema extends SocketSchema>(
      path: string,
      route: SocketRoute<Schema, TypeProvider, RawServer, RawRequest, RawReply, Logger>,
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    /** Pushes: to a connection, a topic, a user or everybody. */
    gateway: Gateway
  }
  interface FastifyRequest {
    /** The facts about the event; undefined in a request that is none. */
    event: SocketEvent | undefined
  }
  interface FastifyReply extends ReplyEffects {}
}

// `any` stands where a route's own types are: they are a matter between its schema and its handlers.
type AnyRoute = SocketRoute<any, any, any, any, any, any>
type Handler = (this: FastifyInstance, request: any, reply: any) => unknown

/** Fastify builds code from the constraint's name, so it cannot be `ce-type`. */
const CONSTRAINT = 'ceType'

/**
 * The Fastify plugin: `app.ws`, `request.event`, the effects on `reply`, `app.gateway`, batches, and a stop that loses no event.
 * Register it before the routes: `await app.register(websocket)`.
 */
const websocket: FastifyPluginCallback<WebsocketOptions> = (app, options, done) => {
  if (!app.hasConstraintStrategy(CONSTRAINT)) app.addConstraintStrategy(eventConstraint())
  decorate(app)
  app.decorate('ws', function (this: FastifyInstance, path: string, route: AnyRoute) {
    return addSocket(this, path, { ...route, batch: options.batch ?? true })
  } as FastifyInstance['ws'])
  const gateway = new Gateway(options.gateway)
  app.decorate('gateway', gateway)
  app.addHook('onClose', () => gateway.end())
  app.addHook('onRoute', (route) => {
    if (![route.method].flat().includes('POST')) return
    route.onSend = [route.onSend ?? [], sendEffects].flat() as RouteOptions['onSend']
    route.onError = [route.onError ?? [], keepCloseCode].flat() as RouteOptions['onError']
  })
  const gate = gateOf(app)
  gate.guard(app.server)
  app.addHook('onListen', () => secondaryServers(app).forEach((server) => gate.guard(server)))
  app.addHook('preClose', () => gate.close())
  done()
}

// What fastify-plugin does: the plugin's decorators and hooks are those of the instance it is registered on.
export default Object.assign(websocket, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'framegate',
  [Symbol.for('plugin-meta')]: { name: 'framegate', fastify: '5.x' },
})

/** Routes by event. A route without the constraint, made without `app.ws`, gets every event of its path. */
function eventConstraint(): any {
  return {
    name: CONSTRAINT,
    mustMatchWhenDerived: false,
    storage: () => new Map(),
    deriveConstraint: (request: IncomingMessage) => request.headers[EventHeader.type],
  }
}

function addSocket(app: FastifyInstance, path: string, socket: AnyRoute & { batch: boolean }): FastifyInstance {
  const { schema = {}, open, message, close, constraints, batch, ...options } = socket
  const { message: body, reply: answer, body: misplaced, response, ...shared } = schema
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
  add(
    EventType.open,
    answering(open, (_request, reply) => batch && reply.header(EffectHeader.batch, '1')),
  )
  add(EventType.message, message ? answering(message, emptyFrame) : noMessages(path), {
    ...(json && { body }),
    ...(answer !== undefined && { response: { '2xx': answer } }),
  })
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

/** A frame without bytes may come without a content type, and then without a body. */
function emptyFrame(request: any): void {
  if (request.body === undefined) request.body = ''
}

function noMessages(path: string): Handler {
  return () => {
    throw Object.assign(new Error(`${path} takes no messages: its app.ws has no message handler`), { statusCode: 404 })
  }
}

/** Listening on `localhost` Fastify opens a server for ::1 too, which it does not show. */
function secondaryServers(app: FastifyInstance): Server[] {
  const bindings = Object.getOwnPropertySymbols(app).find((symbol) => symbol.description === 'fastify.serverBindings')
  return bindings ? (app as any)[bindings] : []
}
