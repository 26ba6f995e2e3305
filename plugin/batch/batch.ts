// A batch of events in one request. Each event is answered when it is done.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { statusOf } from '../events/errors.ts'
import type { Verifier } from '../events/signature.ts'
import { MediaType } from '../headers.ts'
import { type AnswerForm, type EventAnswer, formFor } from './answers.ts'
import { refuse, turnAway } from './refusal.ts'
import { type BatchEvent, EventRequest } from './request.ts'
import { EventResponse, type EventSink } from './response.ts'

const MAX_BATCH_BYTES = 64 * 1024 * 1024

/** What a batch needs of the app it runs in. An app that is closing runs no more events. */
export interface BatchApp {
  routing(request: IncomingMessage, response: ServerResponse): void
  log: FastifyBaseLogger
  closing(): boolean
  /** Checks the signatures of batches, if they must have any. */
  verifier?: Verifier
}

/** Whether a request is a batch of events: `POST /` with exactly the batch's content type. */
export function isBatch(request: IncomingMessage): boolean {
  return request.headers['content-type'] === MediaType.batch && request.url === '/' && request.method === 'POST'
}

/**
 * Answers a batch: every event runs through the app's routes as if it had come alone, and is answered
 * when it is done. A batch that cannot be read is answered with 400 or 413 as a whole, one that is not signed with 401,
 * and one that comes too late with 503; none of its events runs.
 */
export function answerBatch(app: BatchApp, request: IncomingMessage, response: ServerResponse): void {
  const fault = faultOfHead(app, request)
  readBody(request, fault === null ? MAX_BATCH_BYTES : 0, (body) => {
    if (app.closing()) return turnAway(response)
    if (fault !== null) return refuseFault(app, response, fault)
    if (body === null) return refuse(response, 413, `a batch holds at most ${MAX_BATCH_BYTES} bytes`)
    let events
    try {
      app.verifier?.verifyBody(request.headers, body)
      events = parseBatch(body.toString())
    } catch (error) {
      return refuseFault(app, response, error as Error)
    }
    new Batch(app, request, response).run(events)
  })
}

/** What is wrong with the signature of the head; a body of such a batch is not kept. */
function faultOfHead({ verifier }: BatchApp, { method = '', url = '', headers }: IncomingMessage): Error | null {
  try {
    verifier?.verifyContext({ method, url, headers })
    return null
  } catch (error) {
    return error as Error
  }
}

function refuseFault({ log }: BatchApp, response: ServerResponse, error: Error): void {
  const status = statusOf(error)
  if (status !== undefined) log.warn(error)
  refuse(response, status ?? 400, error.message)
}

/** Reads a body, or null when it has more than `most` bytes. */
function readBody(request: IncomingMessage, most: number, done: (body: Buffer | null) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= most) chunks.push(chunk)
    else chunks.length = 0
  })
  request.on('end', () => {
    if (bytes > most) done(null)
    else done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  })
}

const SHAPE =
  'a batch is a JSON array of {"path":"/…","headers":{"ce-id":"…",…},"body":"…" or "body_base64":"…"}, all strings'

function parseBatch(body: string): BatchEvent[] {
  let events: unknown
  try {
    events = JSON.parse(body)
  } catch (error) {
    throw new TypeError(`${SHAPE}: ${(error as Error).message}`)
  }
  if (!Array.isArray(events)) throw new TypeError(SHAPE)
  for (let i = 0; i < events.length; i++) {
    const fault = faultOf(events[i])
    if (fault !== null) throw new TypeError(`${SHAPE}: event ${i} ${fault}`)
  }
  return events
}

function faultOf(event: Partial<Record<keyof BatchEvent, unknown>> | null): string | null {
  if (typeof event !== 'object' || event === null) return 'is not an object'
  const { path, headers, body, body_base64: base64 } = event
  if (typeof path !== 'string' || path.charCodeAt(0) !== 47) return 'has no path that begins with /'
  if (typeof headers !== 'object' || headers === null) return 'has no headers'
  const values = headers as Record<string, unknown>
  for (const name in values) if (typeof values[name] !== 'string') return `has a header ${name} that is no string`
  if (values['ce-id'] === undefined) return 'has no header ce-id'
  if (body !== undefined && typeof body !== 'string') return 'has a body that is no string'
  if (base64 !== undefined && typeof base64 !== 'string') return 'has a body_base64 that is no string'
  return null
}

/** One batch while it runs. */
class Batch implements EventSink {
  readonly #app: BatchApp
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #events: EventResponse[] = []
  #waiting = 0
  #started = false
  readonly #answers: AnswerForm
  #finished: EventResponse[] = []
  #flushing = false

  constructor(app: BatchApp, request: IncomingMessage, response: ServerResponse) {
    this.#app = app
    this.#request = request
    this.#response = response
    this.#answers = formFor(request.headers.accept)
  }

  run(events: BatchEvent[]): void {
    this.#waiting = events.length
    this.#request.socket.on('timeout', this.#timeout)
    this.#response.on('close', this.#closed)
    events.forEach((event, place) => this.#runEvent(event, place))
    this.#started = true
    if (this.#waiting === 0) this.#flush()
    else if (this.#finished.length > 0) this.#flushSoon()
  }

  #runEvent(event: BatchEvent, place: number): void {
    const request = new EventRequest(event, this.#request.socket)
    const response = new EventResponse(request, place, this)
    this.#events.push(response)
    try {
      this.#app.routing(request as unknown as IncomingMessage, response as unknown as ServerResponse)
    } catch (error) {
      // In a request of its own this would end the process: Fastify throws when a synchronous handler sets a bad header.
      this.#app.log.error({ err: error }, 'an event of a batch failed')
      response.destroy()
    }
  }

  answer(answer: EventAnswer, response: EventResponse): void {
    this.#answers.add(answer)
    this.#finished.push(response)
    this.#settled()
  }

  alone(response: EventResponse): void {
    this.#answers.addAlone(response)
    this.#finished.push(response)
    this.#settled()
  }

  lost(): void {
    this.#settled()
  }

  #settled(): void {
    this.#waiting--
    if (this.#started && !this.#flushing) this.#flushSoon()
  }

  /** Events that waited only for promises are all done when the check phase of the event loop comes: one write for them. */
  #flushSoon(): void {
    this.#flushing = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushing = false
    const finished = this.#finished
    this.#finished = []
    if (!this.#response.destroyed) {
      if (this.#waiting > 0) this.#write(this.#answers.take())
      else this.#end(this.#answers.take())
    }
    for (const response of finished) response.finish()
  }

  #write(answers: Buffer): void {
    if (!this.#response.headersSent) this.#response.writeHead(200, { 'content-type': this.#answers.type })
    if (answers.length > 0) this.#response.write(answers)
  }

  #end(answers: Buffer): void {
    if (this.#response.headersSent) {
      this.#response.end(answers)
      return
    }
    const headers = { 'content-type': this.#answers.type, 'content-length': answers.length }
    this.#response.writeHead(200, headers).end(answers)
  }

  readonly #timeout = (): void => {
    for (const event of this.#events) if (!event.settled) event.req.forwardTimeout()
  }

  readonly #closed = (): void => {
    this.#request.socket.removeListener('timeout', this.#timeout)
    if (this.#response.writableFinished) return
    for (const event of this.#events) if (!event.settled) event.abort()
  }
}
