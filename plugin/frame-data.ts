// What data makes which frame: a string a text frame, bytes a binary one, anything else a text frame of JSON.
import { isUtf8 } from 'node:buffer'

export type Data = string | Uint8Array | ArrayBuffer | number | boolean | null | object

/** A frame in the JSON documents that go to the gateway. A frame of JSON is its text, never nested JSON. */
export type FrameData = { text: string } | { base64: string }

/** A frame as a body over HTTP. */
export interface FrameContent {
  type: 'text/plain; charset=utf-8' | 'application/json' | 'application/octet-stream'
  body: string | Uint8Array
}

/** @throws {TypeError} for undefined, a function or a symbol, which JSON cannot hold */
export function contentOf(data: Data): FrameContent {
  if (typeof data === 'string') return { type: 'text/plain; charset=utf-8', body: data.toWellFormed() }
  const bytes = bytesOf(data)
  if (bytes) return { type: 'application/octet-stream', body: bytes }
  const body = JSON.stringify(data)
  if (body !== undefined) return { type: 'application/json', body: body.toWellFormed() }
  throw new TypeError(`a frame must be a string, bytes or something JSON can hold, got ${typeof data}`)
}

/** @throws {TypeError} as contentOf */
export function frameOf(data: Data): FrameData {
  const { body } = contentOf(data)
  return typeof body === 'string' ? { text: body } : { base64: base64Of(body) }
}

/** The frame that the gateway would read from the body of an answer; `isText`: whether its content type is of text. */
export function frameOfBody(body: string | Buffer, isText: boolean): FrameData {
  if (typeof body === 'string') return isText ? frameOf(body) : frameOf(Buffer.from(body))
  return isText && isUtf8(body) ? { text: body.toString() } : frameOf(body)
}

function bytesOf(data: Data): Uint8Array | undefined {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined
}

function base64Of({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}
