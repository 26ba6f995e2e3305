// Bytes that have been received and do not make a whole message yet.
// A message that comes in a million pieces costs its own size, and each byte is copied a bounded number of times.

const NOTHING: Buffer = Buffer.alloc(0)

export class Intake {
  #buffer = NOTHING
  #start = 0
  #end = 0

  get size(): number {
    return this.#end - this.#start
  }

  append(bytes: Buffer): void {
    if (this.size === 0) {
      this.#use(bytes, bytes.length)
      return
    }
    if (this.#end + bytes.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.size + bytes.length))
      this.#buffer.copy(larger, 0, this.#start, this.#end)
      this.#use(larger, this.size)
    }
    bytes.copy(this.#buffer, this.#end)
    this.#end += bytes.length
  }

  /** The place of a byte after the first `from` bytes, or -1. */
  indexOf(byte: number, from: number): number {
    return this.peek(this.size).indexOf(byte, from)
  }

  /** The first bytes, which stay. */
  peek(length: number): Buffer {
    return this.#buffer.subarray(this.#start, this.#start + length)
  }

  /** Removes the first bytes, and returns them. They are never written to again. */
  take(length: number): Buffer {
    const taken = this.peek(length)
    this.#start += length
    if (this.size === 0) this.#use(NOTHING, 0)
    return taken
  }

  #use(buffer: Buffer, end: number): void {
    this.#buffer = buffer
    this.#start = 0
    this.#end = end
  }
}
