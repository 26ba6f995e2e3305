/** A client of a session that a test holds in its hand: it counts, shows what came, and comes back when the test wants. */
import { randomBytes } from 'node:crypto'
import { messageOf } from './deflate.ts'
import { frame, type HandshakeOptions, type RawSocket, rawSocket } from './raw-socket.ts'

export type SessionFrame = { session: string | null; for: string; resumed: boolean; received: number; keep: number }

export class SessionClient {
  raw!: RawSocket
  /** The last session frame. */
  first!: SessionFrame
  token = `new.${randomBytes(16).toString('base64url')}`
  received = 0
  /** What the gateway has acknowledged by control texts. */
  acknowledged = 0
  port: number
  readonly path: string
  readonly options: HandshakeOptions

  constructor(port: number, path: string, options: HandshakeOptions = {}) {
    this.port = port
    this.path = path
    this.options = options
  }

  get key(): string {
    return this.token.startsWith('new.') ? this.token : `${this.token}.${this.received}`
  }

  get target(): string {
    return `${this.path}${this.path.includes('?') ? '&' : '?'}ws-session=${this.key}`
  }

  /** Opens or comes back, and reads the session frame. */
  async dial(options: HandshakeOptions = {}): Promise<this> {
    this.raw = await rawSocket(this.port, this.target, { ...this.options, ...options })
    const { opcode, payload } = await this.raw.frame()
    if (opcode !== 1) throw new Error(`expected a session frame, got opcode ${opcode}`)
    this.first = JSON.parse(payload.toString())
    if (this.first.session) this.token = this.first.session
    if (!this.first.resumed) this.received = 0
    return this
  }

  send(text: string): void {
    this.raw.write(frame(1, text))
  }

  /** The next message of the application. Pings are answered unless `isMute`. */
  async next(ms?: number, isMute = false): Promise<string> {
    while (true) {
      const received = await this.raw.frame(ms)
      const { opcode, payload } = received
      if (opcode === 9 && !isMute) this.raw.write(frame(10, payload))
      if (opcode === 8) throw new Error(`closed: ${payload.toString('latin1')}`)
      if (opcode !== 1 && opcode !== 2) continue
      const text = messageOf(received).toString()
      if (text.startsWith('\0') && !text.startsWith('\0\0')) {
        this.acknowledged = JSON.parse(text.slice(1)).received
        continue
      }
      this.received += 1
      return text.startsWith('\0') ? text.slice(1) : text
    }
  }

  /** Cuts TCP, without a close frame, if there is a connection. */
  cut(): void {
    this.raw?.socket.destroy()
  }

  /** Whether it has no connection. */
  get isAway(): boolean {
    return this.raw?.socket.destroyed ?? true
  }
}
