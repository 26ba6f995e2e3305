// The frame in a request's body: read from the request, or taken from what a body parser made of it.
import type { IncomingMessage } from 'node:http'
import { stringify } from 'node:querystring'
import { HttpError } from './errors.ts'

/** A request of Node, with what body parsers of Express, Nest and others add to it. */
export interface NodeRequest extends IncomingMessage {
  body?: unknown
  rawBody?: unknown
  /** What Express keeps of the URL, which it changes for a router. */
  originalUrl?: string
}

const HINT = 'read the event before the body is parsed, parse it into a Buffer, or pass what was read as { body }'

/**
 * The bytes of a request that nobody has read, or what a body parser made of them.
 * @throws {HttpError} 413 when there are more than `limit` bytes
 */
export async function bodyOf(request: NodeRequest | Request, limit: number): Promise<unknown> {
  if (!isNode(request)) {
    if (request.bodyUsed) throw new TypeError(`the body of this Request was read before: ${HINT}`)
    return request.body === null ? '' : collect(request.body, limit)
  }
  if (!wasRead(request)) return collect(request.iterator({ destroyOnReturn: false }), limit)
  return request.rawBody ?? request.body
}

/**
 * The frame as the gateway sent it. A body that was parsed is written again: the same JSON or form, perhaps not the
 * same bytes.
 * @throws {TypeError} for a body that was parsed into something from which the frame cannot be made
 */
export function frameIn(body: unknown, contentType: string | null, length: string | null): string | Buffer {
  const bytes = bytesOf(body)
  if (contentType?.startsWith('application/octet-stream')) {
    if (bytes) return bytes
    if (isNothing(body, length)) return Buffer.alloc(0)
    throw new TypeError(`the body of a binary frame was parsed into a ${typeof body}: ${HINT}`)
  }
  if (bytes) return bytes.toString()
  if (typeof body === 'string') return body
  if (isNothing(body, length)) return ''
  if (body !== undefined && contentType?.startsWith('application/json')) return JSON.stringify(body)
  if (contentType?.startsWith('application/x-www-form-urlencoded') && isFlat(body)) return stringify(body)
  throw new TypeError(`the body of this request was read before, or parsed into a ${typeof body}: ${HINT}`)
}

/**
 * The bytes of a body, for its signature.
 * @throws {TypeError} for a body that was parsed
 */
export function rawBody(body: unknown, length: string | null): string | Buffer {
  const bytes = bytesOf(body)
  if (bytes) return bytes
  if (typeof body === 'string') return body
  if (isNothing(body, length)) return ''
  throw new TypeError(`the signature of a body that was parsed cannot be verified: ${HINT}`)
}

/** The path and query of a request. A Web `Request` has a whole URL. */
export function urlOf(request: NodeRequest | Request): string {
  if (isNode(request)) return request.originalUrl ?? request.url ?? ''
  const { pathname, search } = new URL(request.url)
  return pathname + search
}

function isNode(request: NodeRequest | Request): request is NodeRequest {
  return typeof request.headers.get !== 'function'
}

/** Requests that were made without a stream, as some test tools and functions in the cloud do, count as read. */
function wasRead(request: NodeRequest): boolean {
  return typeof request.iterator !== 'function' || request.readableDidRead || request.readableEnded
}

async function collect(stream: AsyncIterable<Uint8Array | string>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    const piece = Buffer.from(chunk as Uint8Array)
    bytes += piece.length
    if (bytes > limit) throw new HttpError(413, `expected a frame of at most ${limit} bytes`)
    chunks.push(piece)
  }
  return Buffer.concat(chunks, bytes)
}

function bytesOf(body: unknown): Buffer | undefined {
  if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return body instanceof ArrayBuffer ? Buffer.from(body) : undefined
}

/** What body parsers leave of a request without a body: nothing, null, '' or {}. */
function isNothing(body: unknown, length: string | null): boolean {
  const isEmpty = body === undefined || body === null || body === '' || Object.keys(body).length === 0
  return isEmpty && (length === null || length === '0')
}

function isFlat(body: unknown): body is Record<string, string | string[]> {
  const isText = (value: unknown): boolean => typeof value === 'string'
  return typeof body === 'object' && body !== null && Object.values(body).every((value) => [value].flat().every(isText))
}
