// The response of one event in a batch.
import { type OutgoingHttpHeader, type OutgoingHttpHeaders, validateHeaderName, validateHeaderValue } from 'node:http'
import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import type { EventAnswer } from './answers.ts'
import type { EventRequest } from './request.ts'

/** Where the answers of a batch's events go. */
export interface EventSink {
  /** Takes the answer to the event. */
  answer(answer: EventAnswer, response: EventResponse): void
  /** Nothing was done, and the event must come alone: its answer streams. */
  alone(response: EventResponse): void
  /** The event's answer was aborted: it gets none. */
  lost(response: EventResponse): void
}

/**
 * What Fastify and its plugins use of an http.ServerResponse. As in EventRequest, the stream state is made when code
 * first reads it; `end(body)` does not.
 */
export class EventResponse {
  statusCode = 200
  statusMessage = ''
  headersSent = false
  sendDate = false
  shouldKeepAlive = true
  readonly req: EventRequest
  /** Its place in the batch, from 0. */
  readonly place: number
  readonly #sink: EventSink
  readonly #headers: Record<string, OutgoingHttpHeader> = Object.create(null)
  #chunks: Buffer[] | undefined
  #ended = false
  #settled = false
  #streaming = false

  constructor(request: EventRequest, place: number, sink: EventSink) {
    this.req = request
    this.place = place
    request.response = this
    this.#sink = sink
  }

  get socket(): Socket {
    return this.req.socket
  }
  get connection(): Socket {
    return this.req.socket
  }
  get finished(): boolean {
    return this.#ended
  }
  get writableEnded(): boolean {
    return this.#ended
  }
  /** The `ce-id` of its event. */
  get id(): string {
    return this.req.headers['ce-id'] as string
  }
  get settled(): boolean {
    return this.#settled
  }

  setHeader(name: string, value: OutgoingHttpHeader): this {
    if (this.headersSent) throw headersSent('set')
    check(name, value)
    this.#headers[name.toLowerCase()] = value
    return this
  }

  appendHeader(name: string, value: string | string[]): this {
    const present = this.getHeader(name)
    return this.setHeader(name, present === undefined ? value : [present, value].flat().map(String))
  }

  setHeaders(headers: Headers | Map<string, OutgoingHttpHeader>): this {
    for (const [name, value] of headers) this.setHeader(name, value)
    return this
  }

  getHeader(name: string): OutgoingHttpHeader | undefined {
    return this.#headers[name.toLowerCase()]
  }
  getHeaders(): OutgoingHttpHeaders {
    return { ...this.#headers }
  }
  getHeaderNames(): string[] {
    return Object.keys(this.#headers)
  }
  hasHeader(name: string): boolean {
    return name.toLowerCase() in this.#headers
  }

  removeHeader(name: string): void {
    if (this.headersSent) throw headersSent('remove')
    delete this.#headers[name.toLowerCase()]
  }

  writeHead(status: number, reason?: string | OutgoingHttpHeaders, headers?: OutgoingHttpHeaders): this {
    if (this.headersSent) throw headersSent('write')
    if (!isStatus(status)) throw invalidStatus(status)
    const given = typeof reason === 'string' ? headers : reason
    for (const name in given) if (given[name] !== undefined) check(name, given[name])
    for (const name in given) if (given[name] !== undefined) this.#headers[name.toLowerCase()] = given[name]
    this.statusCode = status
    this.headersSent = true
    return this
  }

  flushHeaders(): void {
    this.headersSent = true
  }
  writeContinue(): void {}
  writeProcessing(): void {}
  writeEarlyHints(): void {}
  addTrailers(): void {}
  setTimeout(): this {
    return this
  }

  end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    const plain = chunk === undefined || chunk === null || typeof chunk === 'string' || Buffer.isBuffer(chunk)
    if (this.#streaming || !plain || typeof encoding === 'string' || typeof callback === 'function') {
      Writable.prototype.end.call(
        this as unknown as Writable,
        chunk,
        encoding as BufferEncoding,
        callback as () => void,
      )
      this.#ended = true
      return this
    }
    if (this.#ended) return this
    this.#ended = true
    this.#settle(chunk ?? '')
    return this
  }

  /** Answers that nothing was done, and that the event must come alone: its answer streams. */
  alone(): void {
    this.headersSent = true
    this.#ended = true
    this.#settled = true
    this.#sink.alone(this)
  }

  /** Aborts the answer. As in node:http, the response emits no error. */
  destroy(): this {
    Writable.prototype.destroy.call(this as unknown as Writable)
    return this
  }

  /** Emits `finish` and `close`. The batch calls it in a later tick, as a socket would. */
  finish(): void {
    if (!this.#streaming) {
      this.emit('finish')
      this.emit('close')
    }
    this.req.finish()
  }

  /** The batch's connection is lost before this event was answered. */
  abort(): void {
    this.req.abort()
    this.destroy()
  }

  _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.headersSent = true
    this.#chunks ??= []
    this.#chunks.push(chunk)
    done()
  }

  _final(done: () => void): void {
    if (!this.#settled) this.#settle(Buffer.concat(this.#chunks ?? []))
    done()
  }

  _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#settled) {
      this.#settled = true
      this.#sink.lost(this)
    }
    done(error)
  }

  get _writableState(): unknown {
    this.#streaming = true
    Writable.call(this as unknown as Writable)
    if (this.#ended) (this as unknown as Writable).end()
    return this._writableState
  }

  set _writableState(value: unknown) {
    Object.defineProperty(this, '_writableState', { value, writable: true })
  }

  #settle(body: string | Buffer): void {
    this.headersSent = true
    this.#settled = true
    const { id, place, statusCode } = this
    const status = isStatus(statusCode) ? statusCode : 500 // node:http would throw, and answer nothing
    this.#sink.answer({ id, place, status, headers: this.#headers, body }, this)
  }
}
export interface EventResponse
  extends Omit<Writable, 'end' | 'destroy' | 'writableEnded' | '_write' | '_final' | '_destroy'> {}
Object.setPrototypeOf(EventResponse.prototype, Writable.prototype)

function check(name: string, value: OutgoingHttpHeader): void {
  validateHeaderName(name)
  if (Array.isArray(value)) for (const one of value) validateHeaderValue(name, one)
  else validateHeaderValue(name, value as string)
}

function isStatus(status: unknown): boolean {
  return Number.isInteger(status) && (status as number) >= 100 && (status as number) <= 999
}

function invalidStatus(status: unknown): Error {
  return Object.assign(new RangeError(`Invalid status code: ${status}`), { code: 'ERR_HTTP_INVALID_STATUS_CODE' })
}

function headersSent(verb: string): Error {
  return Object.assign(new Error(`Cannot ${verb} headers after they are sent to the client`), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}
