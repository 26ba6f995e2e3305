// The npm package framegate: a Fastify plugin that makes a WebSocket a route, and a client to push to open sockets.
import type { Server } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type AsyncApiDocument, type AsyncApiOptions, documentOf } from './asyncapi/document.ts'
import { socketsOf } from './asyncapi/sockets.ts'
import { requestGateOf } from './batch/request-gate.ts'
import type { ReplyEffects } from './events/effects.ts'
import type { SocketEvent, TimerEvent } from './events/event.ts'
import type { SessionOption, SessionOptions } from './events/session.ts'
import { type Secret, SignatureError, Verifier } from './events/signature.ts'
import { Gateway, type GatewayOptions } from './gateway/gateway.ts'
import type { ContractOf, WithSocket } from './websocket/contract.ts'
import { decorate, keepCloseCode, sendEffects } from './websocket/reply.ts'
import { type AnyRoute, addSocket, routeByEvent } from './websocket/route.ts'
import type { SocketRoute, SocketSchema } from './websocket/route-types.ts'
import { requireSignatures } from './websocket/signatures.ts'

export { Close } from './events/close.ts'
export type { HistoryOptions } from './events/effect-values.ts'
export type { Frames } from './events/frame-stream.ts'
export type { Data } from './frame-data.ts'
export type {
  BatchItem,
  ClosedConnection,
  ConnectionInfo,
  ConnectionPage,
  Counts,
  GatewayOptions,
  GatewayStatus,
  KeptMessage,
  KeptMessages,
  NodeInfo,
  NodeList,
  Page,
  PublishCounts,
  PublishOptions,
  PushOptions,
  RedisLink,
  SendOptions,
  TopicCount,
  TopicPage,
} from './gateway/gateway.ts'
export { Gateway, GatewayError, GoneError, SlowReaderError, UnreachableError } from './gateway/gateway.ts'
export { EffectHeader, EventHeader, EventType, MediaType, SignatureHeader } from './headers.ts'
export type {
  AsyncApiDocument,
  AsyncApiOptions,
  ContractOf,
  ReplyEffects,
  Secret,
  SessionOption,
  SessionOptions,
  SocketEvent,
  SocketRoute,
  SocketSchema,
  TimerEvent,
  WithSocket,
}
export { SignatureError }

export interface WebsocketOptions {
  /** Whether the gateway may send events in batches. Default true. */
  batch?: boolean
  /**
   * The gateway's HANDLER_SECRET, or all that are good during a rotation: events that were not signed with it are
   * answered with 401, before any hook that is added after the plugin. By default nothing is verified.
   */
  secret?: Secret
  /** Where `app.gateway` finds the gateway's control API. Default: what the environment says. */
  gateway?: GatewayOptions
}

declare module 'fastify' {
  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    /**
     * Adds a socket: one route `POST path` for each of its events. Returns the instance, whose type has the socket for
     * `framegate/client/typed`.
     * @throws {TypeError} for `schema.body` and `schema.response`, which are `message` and `reply` here
     */
    ws<const Schema extends SocketSchema, const Path extends string, This>(
      this: This,
      path: Path,
      route: SocketRoute<Schema, TypeProvider, RawServer, RawRequest, RawReply, Logger>,
    ): This & WithSocket<Path, ContractOf<TypeProvider, Schema>>
    /** An AsyncAPI 3.0 document of all sockets of the app. Call it when all are added: in a route, or after `app.ready()`. */
    asyncapi(options: AsyncApiOptions): AsyncApiDocument
    /** Pushes: to a connection, a topic, a user or everybody. */
    gateway: Gateway
  }
  interface FastifyRequest {
    /** The event; undefined in a request that is none. */
    event: SocketEvent | undefined
  }
  interface FastifyReply extends ReplyEffects {
    /** Aborted when the gateway ends the request before its answer is complete, as it does when the client of a stream leaves. */
    signal: AbortSignal
  }
}

const websocket: FastifyPluginAsync<WebsocketOptions> = async (app, options) => {
  routeByEvent(app)
  decorate(app)
  app.decorate('ws', function (this: FastifyInstance, path: string, route: AnyRoute) {
    return addSocket(this, path, { ...route, batch: options.batch ?? true })
  } as FastifyInstance['ws'])
  app.decorate('asyncapi', function (this: FastifyInstance, about: AsyncApiOptions) {
    return documentOf(socketsOf(this), about)
  })
  const gateway = new Gateway(options.gateway)
  app.decorate('gateway', gateway)
  app.addHook('onClose', () => gateway.end())
  app.addHook('onRoute', (route) => {
    if (![route.method].flat().includes('POST')) return
    route.onSend = [route.onSend ?? [], sendEffects].flat() as RouteOptions['onSend']
    route.onError = [route.onError ?? [], keepCloseCode].flat() as RouteOptions['onError']
  })
  const gate = requestGateOf(app)
  if ('secret' in options) {
    const verifier = new Verifier(options.secret!)
    gate.require(verifier)
    requireSignatures(app, verifier)
  }
  gate.guard(app.server)
  app.addHook('onListen', () => secondaryServers(app).forEach((server) => gate.guard(server)))
  app.addHook('preClose', () => gate.close())
}

/**
 * The Fastify plugin: `app.ws`, `request.event`, the effects on `reply`, `app.gateway`, batches, and a stop that loses no event.
 * Register it before the routes: `await app.register(websocket)`.
 */
export default fastifyPlugin(websocket, { name: 'framegate', fastify: '5.x' })

/** Listening on `localhost` Fastify opens a server for ::1 too, and shows it to nobody. */
function secondaryServers(app: FastifyInstance): Server[] {
  const bindings = Object.getOwnPropertySymbols(app).find((symbol) => symbol.description === 'fastify.serverBindings')
  return bindings ? (app as unknown as Record<symbol, Server[]>)[bindings]! : []
}
