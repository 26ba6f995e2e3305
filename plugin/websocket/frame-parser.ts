// Makes `request.body` of a frame, in place of Fastify's content type parsers.
import type { Readable } from 'node:stream'
import { errorCodes, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { EventRequest } from '../batch/request.ts'
import { ReadBody, readBytes } from './read-bytes.ts'

type Next = (request: FastifyRequest, reply: FastifyReply) => void
type Done = (error: Error | null, frame?: string | Buffer) => void
type ParseJson = (request: FastifyRequest, body: string, done: (error: Error | null, value?: unknown) => void) => void

/** A frame that is no JSON, for a route with `schema.message`. The client gets this error as its answer. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
  readonly statusCode = 400
  readonly code = 'FRAMEGATE_NOT_JSON'
}

/**
 * Makes `request.body` of a frame: the string or the Buffer as it is, or with `schema.message` the value that the
 * text holds as JSON. Fastify's parsers go by the content type, which is only a hint for a text frame, and any plugin
 * may replace them. So this replaces them for one route (see `withParser`).
 */
export class FrameParser {
  readonly #limit: number
  readonly #parseJson: ParseJson | null

  /** `limit` is the route's bodyLimit, in bytes; `json`: whether frames hold JSON. */
  constructor(app: FastifyInstance, limit: number | undefined, json: boolean) {
    const { bodyLimit, onProtoPoisoning, onConstructorPoisoning } = app.initialConfig
    this.#limit = limit ?? bodyLimit ?? 1024 * 1024
    this.#parseJson = json
      ? (app.getDefaultJsonParser(onProtoPoisoning ?? 'error', onConstructorPoisoning ?? 'error') as ParseJson)
      : null
  }

  /** Called by Fastify in place of its ContentTypeParser's method of this name. */
  run(contentType: string, next: Next, request: FastifyRequest, reply: FastifyReply): void {
    const binary = contentType.startsWith('application/octet-stream')
    this.#read(request, (error, frame) => {
      if (error) {
        reply.header('connection', 'close').send(error) // there may be more of it to come
        return
      }
      try {
        request.body = this.#value(request, frame!, binary)
      } catch (fault) {
        reply.send(fault)
        return
      }
      next(request, reply)
    })
  }

  #value(request: FastifyRequest, frame: string | Buffer, binary: boolean): unknown {
    if (binary) {
      if (this.#parseJson) throw new FrameError('expected a text frame holding JSON, got a binary frame')
      return typeof frame === 'string' ? Buffer.from(frame) : frame
    }
    const text = typeof frame === 'string' ? frame : frame.toString()
    if (!this.#parseJson) return text
    let value: unknown
    this.#parseJson(request, text, (error, parsed) => {
      if (error) throw new FrameError(`expected a text frame holding JSON, got ${describe(text)}`)
      value = parsed
    })
    return value
  }

  #read(request: FastifyRequest, done: Done): void {
    const payload = payloadOf(request)
    const isRead = payload instanceof EventRequest || payload instanceof ReadBody
    const frame = isRead ? payload.takeFrame() : undefined
    if (frame === undefined) {
      readBytes(payload as Readable, request, { limit: this.#limit }, done)
    } else if (frame.length * 3 > this.#limit && Buffer.byteLength(frame) > this.#limit) {
      done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    } else {
      done(null, frame)
    }
  }
}

/**
 * Runs `register`, which adds a route to the instance, so that the route's bodies are parsed by `parser`.
 * Fastify has no public way to give one route its own parser, whatever the content type: the route takes the
 * instance's parser when it is added.
 * @throws {Error} when this version of Fastify keeps its parser somewhere else
 */
export function withParser(app: FastifyInstance, parser: FrameParser, register: () => void): void {
  const key = findSymbol(app, 'fastify.contentTypeParser')
  const instance = app as unknown as Record<symbol, unknown>
  if (key === undefined) throw new Error(`framegate does not know Fastify ${app.version}: it works with Fastify 5`)
  const usual = instance[key]
  instance[key] = parser
  try {
    register()
  } finally {
    instance[key] = usual
  }
}

/** What to read: the request, or the stream with which a preParsing hook replaced it. */
function payloadOf(request: FastifyRequest): unknown {
  if (payloadKey === undefined || !Object.hasOwn(request, payloadKey)) {
    payloadKey = findSymbol(request, 'fastify.RequestPayloadStream')
  }
  return payloadKey === undefined ? request.raw : (request as unknown as Record<symbol, unknown>)[payloadKey]
}
let payloadKey: symbol | undefined

function findSymbol(object: object, description: string): symbol | undefined {
  for (let at = object; at !== null; at = Object.getPrototypeOf(at)) {
    const key = Object.getOwnPropertySymbols(at).find((symbol) => symbol.description === description)
    if (key) return key
  }
  return undefined
}

function describe(text: string): string {
  if (text === '') return 'an empty frame'
  try {
    JSON.parse(text)
    return 'JSON with a forbidden key (__proto__ or constructor.prototype)'
  } catch (error) {
    return `something else: ${(error as Error).message}`
  }
}
