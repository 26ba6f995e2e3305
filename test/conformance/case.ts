/**
 * One case of the suite, and the client that plays it: a socket that sends exact bytes and knows what it expects next.
 * The numbers of the cases are those of the Autobahn Testsuite, whose reports everybody in the field can read.
 */
import assert from 'node:assert/strict'
import { type Frame, frame, type HandshakeOptions, type RawSocket, rawSocket } from '../support/raw-socket.ts'

export const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const

export const [NORMAL, PROTOCOL_ERROR, NOT_UTF8] = [1000, 1002, 1007] as const

export type Case = {
  /** As in the Autobahn Testsuite, such as `5.19`. */
  id: string
  what: string
  play: (peer: Peer) => Promise<void>
}

/** The rest of a case that must not end the connection: another message is echoed, and the closing handshake is clean. */
export async function goesOn(peer: Peer): Promise<void> {
  peer.send(frame(CLOSE, closePayload(NORMAL)))
  await peer.closes(NORMAL)
}

/** A code and a reason as they stand in a close frame (RFC 6455 section 5.5.1). */
export function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, Buffer.from(reason as string)])
}

/** A message in fragments of these payloads (RFC 6455 section 5.4). */
export function fragments(opcode: number, payloads: Array<Buffer | string>): Buffer[] {
  return payloads.map((payload, i) =>
    frame(i === 0 ? opcode : CONTINUATION, payload, { fin: i === payloads.length - 1 }),
  )
}

/** Pieces of at most `size` bytes. */
export function pieces(data: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(data.length / size) }, (_, i) => data.subarray(i * size, (i + 1) * size))
}

/** The client of one case. Each method that expects something fails when something else comes. */
export class Peer {
  readonly #socket: RawSocket

  constructor(socket: RawSocket) {
    this.#socket = socket
  }

  /** Connects to a URL `ws://127.0.0.1:PORT/PATH` and expects 101. */
  static async connect(url: string, options?: HandshakeOptions): Promise<Peer> {
    const { port, pathname } = new URL(url)
    return new Peer(await rawSocket(Number(port), pathname, options))
  }

  /** Sends frames in one write. */
  send(...frames: Buffer[]): void {
    this.#socket.write(...frames)
  }

  /** Sends frames in writes of `size` bytes. */
  chop(size: number, ...frames: Buffer[]): void {
    for (const piece of pieces(Buffer.concat(frames), size)) this.#socket.write(piece)
  }

  async #frame(): Promise<Frame> {
    return this.#socket.frame(20_000)
  }

  /** Expects a whole message, in one frame or in fragments. */
  async message(opcode: number, payload: Buffer | string): Promise<void> {
    const first = await this.#frame()
    assert.equal(first.opcode, opcode, `opcode ${opcode}, got ${first.opcode} ${first.payload.subarray(0, 80)}`)
    const parts = [first]
    while (!parts.at(-1)!.fin) parts.push(await this.#frame())
    for (const { rsv } of parts) assert.equal(rsv, 0, 'no reserved bit')
    for (const { opcode } of parts.slice(1)) assert.equal(opcode, CONTINUATION)
    const data = Buffer.concat(parts.map((part) => part.payload))
    const expected = Buffer.from(payload as string)
    assert.ok(data.equals(expected), `${expected.length} bytes unchanged, got ${data.length}`)
  }

  async pong(payload: Buffer | string): Promise<void> {
    const got = await this.#frame()
    assert.deepEqual([got.opcode, got.fin, got.payload], [PONG, true, Buffer.from(payload as string)])
  }

  /** Expects a close frame with one of these codes (undefined: none), nothing before it, and then the end of TCP. */
  async closes(...codes: Array<number | undefined>): Promise<void> {
    const { opcode, payload } = await this.#frame()
    assert.equal(opcode, CLOSE, `a close frame, got opcode ${opcode}`)
    const code = payload.length === 0 ? undefined : payload.readUInt16BE(0)
    assert.ok(codes.includes(code), `close code ${codes.join(' or ')}, got ${code}`)
    await this.#socket.end(10_000)
  }

  destroy(): void {
    this.#socket.socket.destroy()
  }
}
