// The answer to an event, written to a Node response, made a Web `Response`, or given as its parts.
import type { ServerResponse } from 'node:http'
import { pipeline, Readable, type Writable } from 'node:stream'
import { contentOf, type Data } from '../frame-data.ts'
import { EffectHeader, MediaType } from '../headers.ts'
import { addThrownClose, documentOf, isRefusal } from './answer.ts'
import { Close } from './close.ts'
import { Effects } from './effects.ts'
import { errorBody, statusOf } from './errors.ts'
import { type Frames, openFrames } from './frame-stream.ts'
import type { GatewayEvent } from './read-event.ts'
import { type SessionOption, type SessionOptions, sessionHeader } from './session.ts'

/** An HTTP answer in parts. A body of null is none. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string | Buffer | null
}

/** An HTTP answer whose body is written while it is made. */
export interface StreamAnswer {
  status: number
  headers: Record<string, string>
  body: Readable
}

/** What a Node response must have. */
export type NodeResponse = Pick<ServerResponse, 'statusCode'> & {
  setHeader(name: string, value: string): unknown
  end(body?: string | Buffer): unknown
}

/**
 * The effects of an answer, collected before it is made: `reply.subscribe('news')`. `data` below is the frame that
 * answers the event: a string a text frame, bytes a binary one, anything else JSON; undefined and null are none.
 */
export class Reply extends Effects {
  readonly #type: GatewayEvent['type']
  readonly #headers: Record<string, string> = {}
  readonly #gone = new AbortController()

  constructor(event: GatewayEvent) {
    super(event)
    this.#type = event.type
  }

  /**
   * Adds a header to the answer. At open `set-cookie`, `sec-websocket-protocol` and `ws-text` count; for a message
   * `cache-control` and `vary` do, where equal messages share an answer.
   */
  header(name: string, value: string): this {
    this.#headers[name.toLowerCase()] = value
    return this
  }

  /**
   * Lets the socket outlive its connection, when the client asks for it: for how long, such as `'2m'`. With `notify`,
   * the events `detach` and `resume` come.
   * @throws {TypeError} for a time that is not 1 s or more, and when this is not the answer to open
   */
  session(option: SessionOption | (SessionOptions & { notify?: boolean })): this {
    if (this.#type !== 'open') throw new TypeError(`a session begins with the answer to open, got ${this.#type}`)
    const notify = typeof option === 'object' && 'notify' in option && option.notify === true
    return this.header(EffectHeader.session, sessionHeader(option, notify))
  }

  /** The answer in parts, for a framework with responses of its own, as Koa and Hapi have. */
  answer(data?: Data): Answer {
    if (data === undefined || data === null) return this.#withEffects({ status: 204, headers: {}, body: null })
    const { type, body } = contentOf(data)
    return this.#withEffects({ status: 200, headers: { 'content-type': type }, body: bufferOf(body) })
  }

  /** Aborted when the client leaves while an answer streams, so that its generator stops waiting for its source. */
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * The answer that streams the frames of an async generator: each value that it yields is a frame, all of one type.
   * Effects must come before the first one, without `publish` and `frame`. Resolves when the first frame is there.
   * @throws {TypeError} for effects that need a document
   */
  async stream(frames: Frames): Promise<Answer | StreamAnswer> {
    const stream = await openFrames(frames, { onLeave: () => this.#gone.abort() })
    if (stream === undefined) return this.answer()
    try {
      const headers = { ...this.#headers, ...stream.headers, ...this.toStreamHeaders() }
      return { status: 200, headers, body: stream.body }
    } catch (error) {
      stream.body.destroy()
      throw error
    }
  }

  /**
   * The answer to an event whose handler threw an error. Its `statusCode` is the status; without one it is 500, and
   * its message stays here. An error refuses an open; with `Close` and on other events, the effects take place.
   */
  answerError(error: unknown): Answer {
    const status = statusOf(error) ?? 500
    const message = statusOf(error) === undefined ? 'the handler failed' : (error as Error).message
    const headers = error instanceof Close ? { ...error.headers } : {}
    const type = { 'content-type': 'application/json; charset=utf-8' }
    return this.#withEffects({ status, headers: { ...headers, ...type }, body: errorBody(status, message) })
  }

  /** Writes the answer to a response of `node:http`, Express, Nest or another framework on it. */
  writeTo(response: NodeResponse, data?: Data): void {
    writeAnswer(response, this.answer(data))
  }

  /** The answer as a Web `Response`. */
  toResponse(data?: Data): Response {
    return responseOf(this.answer(data))
  }

  #withEffects({ status, headers: own, body }: Answer): Answer {
    const headers = { ...this.#headers, ...own }
    const head = { status, thrownClose: headers[EffectHeader.close] }
    if (isRefusal(this, this.#type, head)) return { status, headers, body }
    addThrownClose(this, head)
    const effects = this.toHeaders()
    if (effects) return { status, headers: { ...headers, ...effects }, body }
    const document = documentOf(this, status, { body, contentType: headers['content-type'] })
    const { [EffectHeader.close]: _, ...others } = headers
    return { ...document, headers: { ...others, 'content-type': MediaType.effects } }
  }
}

export function writeAnswer(response: NodeResponse, { status, headers, body }: Answer | StreamAnswer): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (body === null) response.end()
  else if (body instanceof Readable) pipeline(body, response as unknown as Writable, reportFailure)
  else response.end(body)
}

/** A stream that fails breaks off: its status is already sent. A client that leaves is no failure. */
function reportFailure(error: NodeJS.ErrnoException | null | undefined): void {
  if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') console.error(error)
}

export function responseOf({ status, headers, body }: Answer | StreamAnswer): Response {
  const content = body instanceof Readable ? Readable.toWeb(body) : body
  return new Response(content as BodyInit | null, { status, headers })
}

function bufferOf(body: string | Uint8Array): string | Buffer {
  return typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
