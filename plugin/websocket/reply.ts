// The effects on Fastify's `reply`, and the hooks that put them into the answer.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EventRequest } from '../batch/request.ts'
import { type AnswerHead, addThrownClose, documentOf, isRefusal } from '../events/answer.ts'
import { Close } from '../events/close.ts'
import { Effects } from '../events/effects.ts'
import { eventIn, stateIn, userIn } from '../events/event.ts'
import { type Frames, openFrames } from '../events/frame-stream.ts'
import { EffectHeader, MediaType } from '../headers.ts'

const METHODS = ['subscribe', 'unsubscribe', 'publish', 'frame', 'alarm', 'close'] as const
const VALUES = ['state', 'user'] as const

const collected = new WeakMap<FastifyReply, Effects>()
const streams = new WeakSet<object>()
const signals = new WeakMap<FastifyReply, AbortSignal>()

function effectsOf(reply: FastifyReply): Effects {
  let effects = collected.get(reply)
  if (!effects) {
    const { headers } = reply.request.raw
    collected.set(reply, (effects = new Effects({ state: stateIn(headers), user: userIn(headers) })))
  }
  return effects
}

/** Fastify's `request.signal` follows the request, which is over as soon as its body is read. */
function signalOf(reply: FastifyReply): AbortSignal {
  let signal = signals.get(reply)
  if (!signal) {
    const gone = new AbortController()
    signals.set(reply, (signal = gone.signal))
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) gone.abort()
    })
  }
  return signal
}

/** Adds `request.event` and the effects to every request and reply of the app. */
export function decorate(app: FastifyInstance): void {
  app.decorateRequest('event', {
    getter(this: FastifyRequest) {
      const value = eventIn(this.raw.headers)
      Object.defineProperty(this, 'event', { value })
      return value
    },
  })
  app.decorateReply('signal', {
    getter(this: FastifyReply) {
      return signalOf(this)
    },
  })
  for (const name of METHODS) {
    const method = Effects.prototype[name] as (...values: unknown[]) => Effects
    app.decorateReply<unknown>(name, function (this: FastifyReply, ...values: unknown[]) {
      method.apply(effectsOf(this), values)
      return this
    })
  }
  for (const name of VALUES) {
    app.decorateReply(name, {
      getter(this: FastifyReply) {
        return effectsOf(this)[name]
      },
      setter(this: FastifyReply, value: string | null) {
        effectsOf(this)[name] = value
      },
    })
  }
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
  const head: AnswerHead = { status: reply.statusCode, thrownClose: reply.getHeader(EffectHeader.close) }
  if (effects === undefined || isRefusal(effects, request.event?.type, head)) return done(null, payload)
  addThrownClose(effects, head)
  if (streams.has(payload as object)) return done(null, payload) // its effects are in the head
  const headers = effects.toHeaders()
  if (headers) {
    reply.headers(headers)
    done(null, payload)
  } else if (nothing || typeof payload === 'string' || Buffer.isBuffer(payload)) {
    done(null, sendDocument(reply, effects, (payload ?? null) as string | Buffer | null))
  } else {
    readPayload(reply, payload).then((body) => done(null, sendDocument(reply, effects, body)), done)
  }
}

/**
 * Sends the frames of a generator as they are yielded. A stream never runs in a batch, where one slow client would hold
 * up others: its generator has not begun, and the gateway sends the event again, alone.
 */
export async function sendFrames(request: FastifyRequest, reply: FastifyReply, frames: Frames): Promise<unknown> {
  if ((request.raw as unknown) instanceof EventRequest) {
    reply.hijack()
    ;(request.raw as unknown as EventRequest).response.alone()
    return reply
  }
  const stream = await openFrames(frames, { serialize: (data) => String(reply.serialize(data)) })
  if (stream === undefined) return undefined
  try {
    reply.headers({ ...stream.headers, ...effectsOf(reply).toStreamHeaders() })
  } catch (error) {
    stream.body.destroy()
    throw error
  }
  streams.add(stream.body)
  return reply.send(stream.body)
}

/** The onError hook that keeps the code of a thrown Close, also when the app's own error handler drops headers. */
export function keepCloseCode(_request: FastifyRequest, reply: FastifyReply, error: unknown, done: () => void): void {
  if (error instanceof Close) reply.headers(error.headers)
  done()
}

function sendDocument(reply: FastifyReply, effects: Effects, body: string | Buffer | null): string {
  const document = documentOf(effects, reply.statusCode, { body, contentType: reply.getHeader('content-type') })
  reply.code(document.status).removeHeader(EffectHeader.close).header('content-type', MediaType.effects)
  return document.body
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
