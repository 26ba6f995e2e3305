// The effects on `reply`, and the hooks that put them into the answer.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Data, frameOfBody } from '../frame-data.ts'
import { EffectHeader, isText, MediaType } from '../headers.ts'
import { Close, parseCloseHeader } from './close.ts'
import { Effects, type HistoryOptions, type PublishOptions } from './effects.ts'
import { readEvent, readState } from './event.ts'

/** What an answer can do besides being a frame. All of it works in hooks too, and in routes made without `app.ws`. */
export interface ReplyEffects {
  /** Subscribes this connection to topics. */
  subscribe(...topics: string[]): this
  /** Subscribes it to a topic, and sends it frames that the topic keeps, after all frames of this answer. */
  subscribe(topic: string, history: HistoryOptions): this
  unsubscribe(...topics: string[]): this
  /** Sends a frame to all subscribers of a topic; with `except: 'self'` not to this connection. */
  publish(topic: string, data: Data, options?: PublishOptions): this
  /** Sends a further frame to this connection, before the one of the answer's body. */
  frame(data: Data): this
  /** Asks for the event `alarm` after so many seconds, in place of any other; 0 takes it away. */
  alarm(seconds: number): this
  /** Closes the socket after the answer: 1000 or 3000-4999, and a reason of at most 123 bytes. */
  close(code?: number, reason?: string): this
  /** At most 4096 bytes that the gateway keeps with the connection and sends with every event; null removes it. */
  state: string | null
  /** Names the connection's user. Null until it is set in this answer. */
  user: string | null
}

const collected = new WeakMap<FastifyReply, Effects>()
const assigned = new WeakMap<FastifyReply, { state?: string | null; user?: string | null }>()

function effectsOf(reply: FastifyReply): Effects {
  let effects = collected.get(reply)
  if (!effects) collected.set(reply, (effects = new Effects()))
  return effects
}

/** Adds `request.event` and the effects to every request and reply of the app. */
export function decorate(app: FastifyInstance): void {
  app.decorateRequest('event', {
    getter(this: FastifyRequest) {
      const value = readEvent(this.raw.headers)
      Object.defineProperty(this, 'event', { value })
      return value
    },
  })
  app.decorateReply('subscribe', function (this: FastifyReply, ...topics: Array<string | HistoryOptions>) {
    const last = topics.at(-1)
    const history = typeof last === 'object' && last !== null ? last : undefined
    effectsOf(this).subscribe((history ? topics.slice(0, -1) : topics) as string[], history)
    return this
  })
  app.decorateReply('unsubscribe', function (this: FastifyReply, ...topics: string[]) {
    effectsOf(this).unsubscribe(topics)
    return this
  })
  app.decorateReply('publish', function (this: FastifyReply, topic: string, data: Data, options?: PublishOptions) {
    effectsOf(this).publish(topic, data, options)
    return this
  })
  app.decorateReply('frame', function (this: FastifyReply, data: Data) {
    effectsOf(this).frame(data)
    return this
  })
  app.decorateReply('close', function (this: FastifyReply, code: number = 1000, reason: string = '') {
    effectsOf(this).close(code, reason)
    return this
  })
  app.decorateReply('alarm', function (this: FastifyReply, seconds: number) {
    effectsOf(this).alarm(seconds)
    return this
  })
  decorateValues(app)
}

function decorateValues(app: FastifyInstance): void {
  app.decorateReply('state', {
    getter(this: FastifyReply) {
      const state = assigned.get(this)?.state
      return state === undefined ? readState(this.request.raw.headers) : state
    },
    setter(this: FastifyReply, state: string | null) {
      effectsOf(this).state(state)
      assigned.set(this, { ...assigned.get(this), state: state === '' ? null : state })
    },
  })
  app.decorateReply('user', {
    getter(this: FastifyReply) {
      return assigned.get(this)?.user ?? null
    },
    setter(this: FastifyReply, user: string | null) {
      effectsOf(this).user(user as string)
      assigned.set(this, { ...assigned.get(this), user })
    },
  })
}

/**
 * The onSend hook that puts the effects into the answer: as headers, or as a document with the body in it.
 * It is the last of a route's hooks, so it sees the body that the client gets.
 */
export function sendEffects(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: (error: Error | null, payload?: unknown) => void,
): void {
  const effects = collected.get(reply)
  const nothing = payload === undefined || payload === null
  if (nothing && request.event !== undefined) reply.removeHeader('content-type') // with one it would be an empty frame
  if (effects === undefined || isRefusal(request, reply, effects)) return done(null, payload)
  const thrown = reply.getHeader(EffectHeader.close)
  if (typeof thrown === 'string') {
    const { code, reason } = parseCloseHeader(thrown)
    effects.close(code, reason)
  }
  const headers = effects.toHeaders()
  if (headers) {
    reply.headers(headers)
    done(null, payload)
  } else if (nothing || typeof payload === 'string' || Buffer.isBuffer(payload)) {
    done(null, document(reply, effects, (payload ?? null) as string | Buffer | null))
  } else {
    readPayload(reply, payload).then((body) => done(null, document(reply, effects, body)), done)
  }
}

/** The onError hook that keeps the code of a thrown Close, also when the app's own error handler drops headers. */
export function keepCloseCode(_request: FastifyRequest, reply: FastifyReply, error: unknown, done: () => void): void {
  if (error instanceof Close) reply.headers(error.headers)
  done()
}

/** An open that fails is an HTTP answer to the client: there is no connection for effects to work on. */
function isRefusal(request: FastifyRequest, reply: FastifyReply, effects: Effects): boolean {
  return isError(reply) && request.event?.type === 'open' && !effects.closes && !reply.hasHeader(EffectHeader.close)
}

function isError(reply: FastifyReply): boolean {
  return reply.statusCode < 200 || reply.statusCode > 299
}

/** A body of null is an answer that returned nothing: an empty one is an empty frame, as in an answer of its own. */
function document(reply: FastifyReply, effects: Effects, body: string | Buffer | null): string {
  const isNothing = body === null || reply.statusCode === 204 || (body.length === 0 && isError(reply))
  const noFrame = isNothing || (isError(reply) && effects.closes)
  const frame = noFrame ? null : frameOfBody(body, isText(reply.getHeader('content-type')))
  if (reply.statusCode === 204) reply.code(200)
  reply.removeHeader(EffectHeader.close).header('content-type', MediaType.effects)
  return effects.toDocument(frame)
}

/** The whole of a stream or a Response. */
async function readPayload(reply: FastifyReply, payload: unknown): Promise<Buffer> {
  if (payload instanceof Response) {
    reply.code(payload.status)
    payload.headers.forEach((value, name) => reply.header(name, value))
    return Buffer.from(await payload.arrayBuffer())
  }
  const chunks: Buffer[] = []
  for await (const chunk of payload as AsyncIterable<Uint8Array | string>) chunks.push(Buffer.from(chunk as string))
  return Buffer.concat(chunks)
}
