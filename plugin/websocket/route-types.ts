// The types of `app.ws`: what a route's schema says about its handlers.
import type {
  ContextConfigDefault,
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
  RouteShorthandOptions,
} from 'fastify'
import type { SocketEvent, TimerEvent } from '../events/event.ts'
import type { Frames } from '../events/frame-stream.ts'
import type { SessionOption } from '../events/session.ts'

/** One JSON schema for each direction; `params`, `querystring` and `headers` as on any Fastify route. */
export interface SocketSchema {
  params?: unknown
  querystring?: unknown
  headers?: unknown
  /** Of a text frame's JSON. Without it the handler gets the frame as it is: a string, or a Buffer if it is binary. */
  message?: unknown
  /** Of what `message` and `alarm` return. */
  reply?: unknown
  /** Of frames that topics and pushes bring. Nothing is checked: it describes them for `app.asyncapi` and typed clients. */
  push?: unknown
  /** What the socket is, in one line, and in more: for `app.asyncapi`. */
  summary?: string
  description?: string
}

export type Validated<Provider extends FastifyTypeProvider, Schema> = (Provider & { schema: Schema })['validator']
export type Serialized<Provider extends FastifyTypeProvider, Schema> = (Provider & { schema: Schema })['serializer']
type Answer<T> = T | void | Promise<T | void>
/** One promise of all: the compiler then compares a wrong answer with `T`, and names the member that is missing. */
type AnswerOrStream<T> = T | void | Frames<T> | Promise<T | void | Frames<T>>

/** `request.body` of a message: what the schema says, or the frame itself. */
type Message<Provider extends FastifyTypeProvider, Schema extends SocketSchema> = Schema extends {
  message: infer M extends object
}
  ? Validated<Provider, M>
  : string | Buffer

type SocketRequest<
  Body,
  Schema extends SocketSchema,
  Provider extends FastifyTypeProvider,
  Server extends RawServerBase,
  Request extends RawRequestDefaultExpression<Server>,
  Logger extends FastifyBaseLogger,
> = FastifyRequest<
  {
    Params: Validated<Provider, Schema['params']>
    Querystring: Validated<Provider, Schema['querystring']>
    Headers: Validated<Provider, Schema['headers']>
    Body: Body
  },
  Server,
  Request,
  {},
  Provider,
  ContextConfigDefault,
  Logger
> & { event: SocketEvent }

type SocketReply<
  Server extends RawServerBase,
  Request extends RawRequestDefaultExpression<Server>,
  Reply extends RawReplyDefaultExpression<Server>,
> = FastifyReply<RouteGenericInterface, Server, Request, Reply>

/** The options of a Fastify route, with its hooks; each applies to all events. */
type CommonOptions<
  Provider extends FastifyTypeProvider,
  Server extends RawServerBase,
  Request extends RawRequestDefaultExpression<Server>,
  Reply extends RawReplyDefaultExpression<Server>,
  Logger extends FastifyBaseLogger,
> = Omit<
  RouteShorthandOptions<Server, Request, Reply, RouteGenericInterface, ContextConfigDefault, {}, Provider, Logger>,
  'schema' | 'exposeHeadRoute'
>

/** What `app.ws` takes. An event without a handler does nothing; a message without one is a 404. */
export type SocketRoute<
  Schema extends SocketSchema = SocketSchema,
  Provider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Server extends RawServerBase = RawServerDefault,
  Request extends RawRequestDefaultExpression<Server> = RawRequestDefaultExpression<Server>,
  Reply extends RawReplyDefaultExpression<Server> = RawReplyDefaultExpression<Server>,
  Logger extends FastifyBaseLogger = FastifyBaseLogger,
> = CommonOptions<Provider, Server, Request, Reply, Logger> & {
  schema?: Schema

  /** Lets a socket outlive its connection, when the client asks for it: for how long, such as `'2m'`. */
  session?: SessionOption

  /** The handshake. What it returns is the first frame; an error it throws refuses the socket. */
  open?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: SocketRequest<unknown, Schema, Provider, Server, Request, Logger>,
    reply: SocketReply<Server, Request, Reply>,
  ): unknown

  /**
   * A frame. What it returns is the frame that answers it, an empty one for `''`; if it returns nothing, nothing is sent.
   * An async generator (`async *message`) streams: each value that it yields is a frame, all of one type. Its effects
   * come before the first one, without `publish` and `frame`. When the client leaves, `reply.signal` is aborted and
   * the generator ends.
   */
  message?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: SocketRequest<Message<Provider, Schema>, Schema, Provider, Server, Request, Logger>,
    reply: SocketReply<Server, Request, Reply>,
  ): AnswerOrStream<Serialized<Provider, Schema['reply']>>

  /** The time that `reply.alarm` named is over. What it returns is a frame. May come more than once. */
  alarm?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: SocketRequest<unknown, Schema, Provider, Server, Request, Logger>,
    reply: SocketReply<Server, Request, Reply>,
  ): Answer<Serialized<Provider, Schema['reply']>>

  /** The connection of a session is lost, and the client may come back. Not called where `session.check` is set. */
  detach?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: SocketRequest<unknown, Schema, Provider, Server, Request, Logger>,
    reply: SocketReply<Server, Request, Reply>,
  ): unknown

  /** The client of a session is back. Where `session.check` is set, an error refuses it and ends the socket. */
  resume?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: SocketRequest<unknown, Schema, Provider, Server, Request, Logger>,
    reply: SocketReply<Server, Request, Reply>,
  ): unknown

  /** The socket has closed. May come more than once, then with the same `request.event.id`. */
  close?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: SocketRequest<unknown, Schema, Provider, Server, Request, Logger>,
    reply: SocketReply<Server, Request, Reply>,
  ): unknown

  /** A time of TIMERS has come. It belongs to no socket: of what it does with `reply`, only `publish` counts. */
  timer?(
    this: FastifyInstance<Server, Request, Reply, Logger, Provider>,
    request: Omit<SocketRequest<unknown, Schema, Provider, Server, Request, Logger>, 'event'> & { event: TimerEvent },
    reply: SocketReply<Server, Request, Reply>,
  ): unknown
}
