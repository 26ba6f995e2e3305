// The request of one event in a batch.
import { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { EventResponse } from './response.ts'

/** One event in the JSON of a batch. */
export interface BatchEvent {
  path: string
  headers: Record<string, string>
  body?: string
  body_base64?: string
}

/**
 * What Fastify and its plugins read of an http.IncomingMessage.
 *
 * It is a Readable, but its stream state costs more than a whole event. So the state is made when code first reads
 * it; a route of `app.ws` takes the frame and never does.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the prototype is a Readable, set below
export class EventRequest {
  readonly method = 'POST'
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  readonly complete = true
  url: string
  headers: IncomingHttpHeaders
  aborted = false
  response!: EventResponse
  readonly #connection: Socket
  #socket: EventSocket | undefined
  #body: string | Buffer | undefined
  #streaming = false

  constructor(event: BatchEvent, connection: Socket) {
    this.url = event.path
    this.headers = event.headers
    this.#connection = connection
    if (event.body !== undefined) this.#body = event.body
    else if (event.body_base64 !== undefined) this.#body = Buffer.from(event.body_base64, 'base64')
    if (this.#body !== undefined) this.headers['content-length'] = String(Buffer.byteLength(this.#body))
  }

  get rawHeaders(): string[] {
    return Object.entries(this.headers).flatMap(([name, value]) => [name, String(value)])
  }

  get trailers(): Record<string, never> {
    return {}
  }

  get rawTrailers(): string[] {
    return []
  }

  get socket(): Socket {
    this.#socket ??= new EventSocket(this.#connection, this)
    return this.#socket as unknown as Socket
  }

  get connection(): Socket {
    return this.socket
  }

  setTimeout(): this {
    return this
  }

  /** The whole frame, without a stream; undefined when it was already taken, or is being read as a stream. */
  takeFrame(): string | Buffer | undefined {
    if (this.#streaming) return undefined
    const frame = this.#body ?? ''
    this.#body = undefined
    return frame
  }

  /** The batch's connection is lost. Does what an http.IncomingMessage does then; a listener has made it a stream. */
  abort(): void {
    this.aborted = true
    if (!this.#streaming) return
    this.emit('aborted')
    this.destroy()
  }

  /** The answer is complete: the rest of the body is discarded, as in node:http. */
  finish(): void {
    if (this.#streaming) this.resume()
  }

  forwardTimeout(): void {
    this.#socket?.emit('timeout')
  }

  _read(): void {
    if (this.#body !== undefined && this.#body.length > 0) this.push(this.#body)
    this.#body = undefined
    this.push(null)
  }

  get _readableState(): unknown {
    this.#streaming = true
    Readable.call(this as unknown as Readable)
    return this._readableState
  }

  set _readableState(value: unknown) {
    Object.defineProperty(this, '_readableState', { value, writable: true })
  }
}
export interface EventRequest extends Omit<Readable, 'setTimeout'> {}
Object.setPrototypeOf(EventRequest.prototype, Readable.prototype)

/** What an event sees of the batch's connection. Its listeners, and its end, are the event's own. */
class EventSocket extends EventEmitter {
  readonly #connection: Socket
  readonly #request: EventRequest

  constructor(connection: Socket, request: EventRequest) {
    super()
    this.#connection = connection
    this.#request = request
  }

  get remoteAddress(): string | undefined {
    return this.#connection.remoteAddress
  }
  get remotePort(): number | undefined {
    return this.#connection.remotePort
  }
  get remoteFamily(): string | undefined {
    return this.#connection.remoteFamily
  }
  get localAddress(): string | undefined {
    return this.#connection.localAddress
  }
  get localPort(): number | undefined {
    return this.#connection.localPort
  }
  get encrypted(): boolean {
    return 'encrypted' in this.#connection
  }
  get destroyed(): boolean {
    return this.#request.aborted || this.#connection.destroyed
  }
  get readable(): boolean {
    return !this.destroyed
  }
  get writable(): boolean {
    return !this.destroyed
  }
  setTimeout(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }

  destroy(): this {
    this.#request.response.destroy()
    return this
  }
}
