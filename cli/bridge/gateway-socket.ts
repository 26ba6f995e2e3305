// One socket of the gateway, which stands for one device.
// The gateway sees the device's own address, since it trusts the bridge as a proxy (TRUSTED_PROXIES).
import { WebSocket } from 'ws'
import type { Bridge } from './bridge.ts'
import type { Cause, Refusal, Transport } from './counters.ts'
import type { Message } from './framing.ts'

/** While more bytes than this wait for the gateway, nothing more is read from the device. */
const BUSY_BYTES = 65_536
/** The gateway's MAX_ANSWER_BYTES by default. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024
/** Finds a gateway whose machine is gone. */
const KEEP_ALIVE_MS = 60_000
/** The gateway answers earlier messages for 2 s before its close frame. */
const CLOSE_MS = 5_000

export type Source = { transport: Transport; address: string; port: number }

/** What a device does when something happens to its socket. */
export type Listener = {
  opened: () => void
  received: (payload: Buffer) => void
  /** Called once, also when the socket was never open. */
  ended: () => void
}

export class GatewaySocket {
  #bridge: Bridge
  #source: Source
  #ws: WebSocket
  #isOpen = false
  #cause: Cause | undefined
  #problem = ''
  #status: number | undefined

  /** Begins the handshake with the gateway. */
  constructor(bridge: Bridge, source: Source, listener: Listener) {
    this.#bridge = bridge
    this.#source = source
    this.#ws = new WebSocket(bridge.settings.url, {
      headers: { 'x-forwarded-for': source.address },
      handshakeTimeout: bridge.settings.timeoutMs,
      maxPayload: Math.max(bridge.settings.maxBytes, MAX_FRAME_BYTES),
      perMessageDeflate: false,
    })
    this.#listen(listener)
  }

  /** Whether it was opened, be it closed since. */
  get wasOpen(): boolean {
    return this.#isOpen
  }

  /** Whether this side has begun to end it. */
  get isClosing(): boolean {
    return this.#cause !== undefined
  }

  /** Whether so much waits for the gateway that the device must wait. */
  get isBusy(): boolean {
    return this.#ws.bufferedAmount > BUSY_BYTES
  }

  /** Sends a message as a frame of its kind. `drained` is called when it has left. */
  send({ payload, isText }: Message, drained: () => void): void {
    this.#count('in', payload)
    this.#ws.send(payload, { binary: !isText }, drained)
  }

  /** Stops reading frames; the gateway then waits, too. */
  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    this.#ws.resume()
  }

  /**
   * Ends it when the gateway has read what was sent, however long that takes: pings are answered in order (RFC 6455 section
   * 5.5.2). A close frame that waits behind much more than the gateway reads in 5 s would be given up.
   */
  finish(cause: Cause, code: number, reason: string): void {
    this.#ws.once('pong', () => this.close(cause, code, reason))
    this.#ws.ping()
  }

  /** Ends it within 5 s, after the messages that were sent, whose answers still come. The first cause counts. */
  close(cause: Cause, code: number, reason: string): void {
    if (this.#cause) return
    this.#cause = cause
    this.resume()
    this.#ws.close(code, reason)
    const timer = setTimeout(() => this.#ws.terminate(), CLOSE_MS)
    this.#ws.once('close', () => clearTimeout(timer))
  }

  /** Ends it without a close frame: its handler gets the code 1006. */
  terminate(cause: Cause): void {
    this.#cause ??= cause
    this.#ws.terminate()
  }

  #listen(listener: Listener): void {
    this.#ws
      .on('open', () => {
        this.#isOpen = true
        this.#bridge.counters.add('sockets_opened_total', { transport: this.#source.transport })
        this.#bridge.counters.add('sockets', { transport: this.#source.transport })
        listener.opened()
      })
      .on('message', (payload: Buffer) => {
        this.#count('out', payload)
        listener.received(payload)
      })
      .on('upgrade', ({ socket }) => socket.setKeepAlive(true, KEEP_ALIVE_MS))
      .on('unexpected-response', (_request, response) => {
        this.#status = response.statusCode
        this.#ws.terminate()
      })
      .on('error', (error) => {
        this.#problem = error.message
      })
      .on('close', (code) => {
        if (this.#isOpen) this.#countEnd(code)
        else this.#countRefusal()
        listener.ended()
      })
  }

  #count(direction: 'in' | 'out', { length }: Buffer): void {
    const labels = { transport: this.#source.transport, direction }
    this.#bridge.counters.add('messages_total', labels)
    this.#bridge.counters.add('bytes_total', labels, length)
  }

  #countEnd(code: number): void {
    const { transport } = this.#source
    const cause = this.#cause ?? (code === 1006 ? 'lost' : 'gateway')
    this.#bridge.counters.add('sockets', { transport }, -1)
    this.#bridge.counters.add('sockets_closed_total', { transport, cause })
    if (cause === 'lost')
      this.#bridge.log.line('lost', `the gateway has ended the socket of ${this} without a close frame`)
  }

  #countRefusal(): void {
    const cause = this.#refusal()
    this.#bridge.counters.add('sockets_refused_total', { transport: this.#source.transport, cause })
    if (cause === 'refused') this.#bridge.log.line(cause, `the gateway refused ${this} with status ${this.#status}`)
    if (cause === 'unavailable') this.#bridge.log.line(cause, `${this} gets no socket: ${this.#problem}`)
  }

  #refusal(): Refusal {
    if (this.#cause) return this.#cause === 'stop' ? 'stop' : 'left'
    return this.#status === undefined ? 'unavailable' : 'refused'
  }

  /** The device, for the log. */
  toString(): string {
    return describe(this.#source)
  }
}

/** A device, for the log. */
export function describe({ transport, address, port }: Source): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port} (${transport})`
}
