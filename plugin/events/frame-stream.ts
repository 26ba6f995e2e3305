// An answer that streams: each frame of an async generator goes to the client when it is yielded.
import { Readable } from 'node:stream'
import type { Data } from '../frame-data.ts'
import { contentOf } from '../frame-data.ts'
import { EffectHeader, MediaType } from '../headers.ts'

/** What a handler may return in place of a frame: an async generator of frames. */
export type Frames<T = Data> = AsyncGenerator<T, unknown, undefined>

/** The head and body of an answer that streams. */
export interface FrameStream {
  headers: Record<string, string>
  body: Readable
}

type Encode = (data: Data) => Buffer

/** Whether a handler returned a generator. A stream of Node is none: it is one frame. */
export function isFrames(value: unknown): value is Frames {
  const generator = value as Partial<Frames> | null | undefined
  return typeof generator?.next === 'function' && typeof generator[Symbol.asyncIterator] === 'function'
}

/** How the frames of a generator are sent. */
export interface FramesOptions {
  /** Writes what is neither a string nor bytes. Default: as JSON. */
  serialize?: (data: Data) => string
  /** Called when the client leaves before the generator has ended. */
  onLeave?: () => void
}

/**
 * Runs a generator up to its first frame, whose type is that of all: strings and bytes are pieces, anything else lines
 * of JSON. Undefined when it yields no frame. An empty string, or no bytes, is no frame either.
 *
 * The body ends the generator when the client leaves. It fails with a TypeError when a frame has another type than the first.
 */
export async function openFrames(
  frames: Frames,
  { serialize = JSON.stringify, onLeave }: FramesOptions = {},
): Promise<FrameStream | undefined> {
  const first = await frames.next()
  if (first.done) return undefined
  const { type } = contentOf(first.value)
  const isJson = type === 'application/json'
  const headers: Record<string, string> = isJson
    ? { 'content-type': MediaType.lines }
    : { 'content-type': type, [EffectHeader.stream]: '1' }
  const encode: Encode = (data) => {
    const content = contentOf(data)
    if (content.type !== type) throw new TypeError(`a stream of ${type} cannot go on with ${content.type}`)
    return isJson ? Buffer.from(`${serialize(data)}\n`) : Buffer.from(content.body as string)
  }
  return { headers, body: Readable.from(new EncodedFrames(frames, encode, { first: first.value, onLeave })) }
}

const NOTHING = Buffer.alloc(0)

/** Not a generator itself: `return` must reach the other one while that waits for its next frame. */
class EncodedFrames implements AsyncIterableIterator<Buffer> {
  readonly #frames: Frames
  readonly #encode: Encode
  readonly #onLeave: (() => void) | undefined
  #first: { value: Data } | undefined
  #done = false

  constructor(frames: Frames, encode: Encode, { first, onLeave }: { first: Data; onLeave: (() => void) | undefined }) {
    this.#frames = frames
    this.#encode = encode
    this.#first = { value: first }
    this.#onLeave = onLeave
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      let value: Buffer = NOTHING
      while (value.length === 0) {
        const frame = this.#first ?? (await this.#frames.next())
        this.#first = undefined
        if ('done' in frame && frame.done) {
          this.#done = true
          return { done: true, value: undefined }
        }
        value = this.#encode(frame.value as Data)
      }
      return { done: false, value }
    } catch (error) {
      this.#done = true
      await this.#frames.return(undefined)
      throw error
    }
  }

  /** The stream calls it when it is destroyed, and also after its end. A generator that waits ends when its wait is over. */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    if (!this.#done) this.#onLeave?.()
    this.#done = true
    await this.#frames.return(undefined)
    return { done: true, value: undefined }
  }
}
