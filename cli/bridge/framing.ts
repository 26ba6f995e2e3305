// Where a message ends in the bytes of a TCP connection: at the end of a line, or after the length in front of it.
import { isUtf8 } from 'node:buffer'
import { Intake } from './intake.ts'

/** A message of a device. Text is valid UTF-8 (RFC 6455 section 5.6). */
export type Message = { payload: Buffer; isText: boolean }

/** Finds messages in the bytes of one connection. */
export type Parser = {
  push: (bytes: Buffer) => void
  /** The next complete message; `too long` when it has more bytes than allowed, after which nothing more can be read. */
  next: () => Message | 'too long' | undefined
  /** What a device has sent when it ends its side, if that counts as a message. */
  rest: () => Message | 'too long' | undefined
}

export type Framing = {
  /** @param maxBytes of the payload of one message */
  parser: (maxBytes: number) => Parser
  /** The bytes that carry a frame of the gateway to the device. */
  encode: (payload: Buffer) => Buffer
  /** A message that is a whole datagram. */
  datagram: (payload: Buffer) => Message
}

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const LENGTH_BYTES = 4

function textOrBinary(payload: Buffer): Message {
  return { payload, isText: isUtf8(payload) }
}

class LineParser implements Parser {
  #intake = new Intake()
  #searched = 0
  #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  push(bytes: Buffer): void {
    this.#intake.append(bytes)
  }

  next(): Message | 'too long' | undefined {
    const end = this.#intake.indexOf(LF, this.#searched)
    if (end < 0) {
      const unfinished = this.#intake.peek(this.#intake.size)
      this.#searched = unfinished.length
      return withoutCarriageReturn(unfinished).length > this.#maxBytes ? 'too long' : undefined
    }
    this.#searched = 0
    return this.#message(this.#intake.take(end + 1).subarray(0, -1))
  }

  rest(): Message | 'too long' | undefined {
    return this.#intake.size === 0 ? undefined : this.#message(this.#intake.take(this.#intake.size))
  }

  #message(bytes: Buffer): Message | 'too long' {
    const line = withoutCarriageReturn(bytes)
    return line.length > this.#maxBytes ? 'too long' : textOrBinary(line)
  }
}

function withoutCarriageReturn(line: Buffer): Buffer {
  return line.at(-1) === CR ? line.subarray(0, -1) : line
}

class LengthParser implements Parser {
  #intake = new Intake()
  #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  push(bytes: Buffer): void {
    this.#intake.append(bytes)
  }

  next(): Message | 'too long' | undefined {
    if (this.#intake.size < LENGTH_BYTES) return undefined
    const length = this.#intake.peek(LENGTH_BYTES).readUInt32BE()
    if (length > this.#maxBytes) return 'too long'
    if (this.#intake.size < LENGTH_BYTES + length) return undefined
    return { payload: this.#intake.take(LENGTH_BYTES + length).subarray(LENGTH_BYTES), isText: false }
  }

  rest(): undefined {}
}

/** The payload and LF. A CR or LF within becomes a space, or the device would read two lines. */
function line(payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length + 1)
  payload.copy(bytes)
  for (const end of [LF, CR]) {
    for (let at = payload.indexOf(end); at >= 0; at = payload.indexOf(end, at + 1)) bytes[at] = SPACE
  }
  bytes[payload.length] = LF
  return bytes
}

function lengthAndPayload(payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + payload.length)
  bytes.writeUInt32BE(payload.length)
  payload.copy(bytes, LENGTH_BYTES)
  return bytes
}

/** A message is a line that ends with LF, or CR and LF: a text frame, or a binary one if it is not UTF-8. */
export const lines: Framing = {
  parser: (maxBytes) => new LineParser(maxBytes),
  encode: line,
  datagram: textOrBinary,
}

/** A message is its length in 4 bytes, the highest first, and as many bytes: a binary frame. */
export const lengthPrefixed: Framing = {
  parser: (maxBytes) => new LengthParser(maxBytes),
  encode: lengthAndPayload,
  datagram: (payload) => ({ payload, isText: false }),
}
