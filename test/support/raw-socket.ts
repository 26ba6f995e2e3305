/**
 * A WebSocket client that says exactly the bytes it is told to, and shows exactly what came back. For what a
 * well-behaved library never sends.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export type Frame = { fin: boolean; rsv: number; opcode: number; payload: Buffer }

export type HandshakeOptions = {
  headers?: Record<string, string>
  method?: string
  localAddress?: string
  /** Does not end TCP when the other side does. */
  keepsOpen?: boolean
  after?: Buffer
}

/** A masked client frame. `length` writes the length in so many bits (7, 16 or 64) whatever fits. */
export function frame(
  opcode: number,
  payload: Buffer | string = '',
  { fin = true, rsv = 0, masked = true, bits = 0, mask = randomBytes(4) } = {},
): Buffer {
  const data = Buffer.from(payload as string)
  const width = bits || (data.length < 126 ? 7 : data.length < 65536 ? 16 : 64)
  const head = Buffer.alloc(width === 7 ? 2 : width === 16 ? 4 : 10)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (width === 7 ? data.length : width === 16 ? 126 : 127)
  if (width === 16) head.writeUInt16BE(data.length, 2)
  if (width === 64) head.writeBigUInt64BE(BigInt(data.length), 2)
  if (!masked) return Buffer.concat([head, data])
  const body = Buffer.from(data)
  for (let i = 0; i < body.length; i++) body[i] = body[i]! ^ mask[i & 3]!
  return Buffer.concat([head, mask, body])
}

export class RawSocket {
  readonly socket: Socket
  status = 0
  headers: Record<string, string> = {}
  #buffer = Buffer.alloc(0)
  #ended = false
  #waiting: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      this.#waiting?.()
    })
    socket.on('error', () => {
      this.#ended = true
      this.#waiting?.()
    })
    socket.on('close', () => {
      this.#ended = true
      this.#waiting?.()
    })
    socket.on('end', () => {
      this.#ended = true
      this.#waiting?.()
    })
  }

  write(...data: Array<Buffer | string>): void {
    this.socket.write(Buffer.concat(data.map((piece) => Buffer.from(piece as string))))
  }

  async #more(ms: number): Promise<void> {
    if (this.#ended) throw new Error('the connection ended')
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came for ${ms} ms`)), ms)
      this.#waiting = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** The status line and headers of the answer to the handshake. */
  async response(ms = 15_000): Promise<{ status: number; headers: Record<string, string> }> {
    let end
    while ((end = this.#buffer.indexOf('\r\n\r\n')) < 0) await this.#more(ms)
    const [first, ...lines] = this.#buffer.subarray(0, end).toString('latin1').split('\r\n')
    this.#buffer = this.#buffer.subarray(end + 4)
    this.status = Number(first!.split(' ')[1])
    for (const line of lines) {
      const name = line.slice(0, line.indexOf(':')).toLowerCase()
      const value = line.slice(line.indexOf(':') + 1).trim()
      this.headers[name] = this.headers[name] === undefined ? value : `${this.headers[name]}, ${value}`
    }
    return { status: this.status, headers: this.headers }
  }

  /** The body that follows the headers, until the connection ends or the length or last chunk has come. */
  async body(ms = 15_000): Promise<string> {
    const length = this.headers['content-length']
    const complete = (): boolean =>
      length !== undefined ? this.#buffer.length >= Number(length) : this.#buffer.includes('0\r\n\r\n')
    while (!complete() && !this.#ended) await this.#more(ms)
    const text = this.#buffer.toString()
    return length !== undefined ? text : text.replace(/[0-9a-f]+\r\n([^]*?)\r\n/g, '$1')
  }

  /** The next frame. Throws when the connection ends before it. */
  async frame(ms = 15_000): Promise<Frame> {
    while (true) {
      const found = this.#parse()
      if (found) return found
      await this.#more(ms)
    }
  }

  /** The next close frame's code and reason; frames before it are dropped. */
  async closeFrame(ms = 15_000): Promise<{ code: number | undefined; reason: string }> {
    while (true) {
      const { opcode, payload } = await this.frame(ms)
      if (opcode === 8) {
        return { code: payload.length ? payload.readUInt16BE(0) : undefined, reason: payload.subarray(2).toString() }
      }
    }
  }

  /** Waits until the other side has ended the connection. */
  async end(ms = 15_000): Promise<void> {
    while (!this.#ended) await this.#more(ms)
  }

  #parse(): Frame | undefined {
    const buffer = this.#buffer
    if (buffer.length < 2) return undefined
    const short = buffer[1]! & 0x7f
    const size = short < 126 ? 2 : short === 126 ? 4 : 10
    if (buffer.length < size) return undefined
    const length = short < 126 ? short : short === 126 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2))
    if (buffer.length < size + length) return undefined
    this.#buffer = buffer.subarray(size + length)
    return {
      fin: buffer[0]! >= 0x80,
      rsv: (buffer[0]! >> 4) & 7,
      opcode: buffer[0]! & 15,
      payload: buffer.subarray(size, size + length),
    }
  }
}

/** Connects and says a handshake. A header given as '' is left out. */
export function rawHandshake(port: number, path: string, options: HandshakeOptions = {}): RawSocket {
  const socket = connect({
    port,
    host: '127.0.0.1',
    localAddress: options.localAddress,
    allowHalfOpen: options.keepsOpen,
  })
  socket.setNoDelay(true)
  const headers: Record<string, string> = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...options.headers,
  }
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`)
  const raw = new RawSocket(socket)
  raw.write(`${options.method ?? 'GET'} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, options.after ?? '')
  return raw
}

/** Connects and expects 101. */
export async function rawSocket(port: number, path: string, options: HandshakeOptions = {}): Promise<RawSocket> {
  const raw = rawHandshake(port, path, options)
  const { status } = await raw.response()
  if (status !== 101) throw new Error(`expected 101, got ${status}: ${await raw.body()}`)
  return raw
}
