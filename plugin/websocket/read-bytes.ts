// Reads the body of a request into memory, for code that must have seen all of it before a parser does.
import { AsyncResource } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { errorCodes, type FastifyRequest } from 'fastify'

/**
 * Reads a stream to its end. An error has a status: 413 when there are more than `limit` bytes, 400 when it breaks off.
 */
export function readBytes(
  payload: Readable,
  request: FastifyRequest,
  { limit }: { limit: number },
  done: (error: Error | null, body?: Buffer) => void,
): void {
  if (Number(request.headers['content-length']) > limit) {
    done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    return
  }
  // Stream events come in the connection's async context, not the request's.
  const finish = AsyncResource.bind((error: Error | null, body?: Buffer) => {
    payload.off('data', onData).off('end', onEnd).off('error', onError)
    done(error, body)
  })
  const chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer | string): void => {
    const piece = Buffer.from(chunk as string)
    bytes += piece.length
    if (bytes > limit) finish(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    else chunks.push(piece)
  }
  const onEnd = (): void => finish(null, Buffer.concat(chunks, bytes))
  const onError = (error: Error): void => finish(Object.assign(error, { statusCode: 400 }))
  payload.on('data', onData).on('end', onEnd).on('error', onError)
}

/** A body that was read, as a stream for whoever reads it next. */
export class ReadBody extends Readable {
  #bytes: Buffer | undefined

  constructor(bytes: Buffer) {
    super()
    this.#bytes = bytes
  }

  /** All of it, without a stream; undefined when it was already taken or read. */
  takeFrame(): Buffer | undefined {
    const bytes = this.#bytes
    this.#bytes = undefined
    return bytes
  }

  override _read(): void {
    const bytes = this.takeFrame()
    if (bytes !== undefined && bytes.length > 0) this.push(bytes)
    this.push(null)
  }
}
