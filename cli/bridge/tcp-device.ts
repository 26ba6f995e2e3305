// A device on a TCP connection.
// Each side waits for the other: who does not read is not sent more, and the other is not read from meanwhile.
import type { Socket } from 'node:net'
import type { Bridge, Device } from './bridge.ts'
import type { Framing, Parser } from './framing.ts'
import { GatewaySocket, type Source } from './gateway-socket.ts'

/** How long a device may take to close its side after the gateway's. Until then, what it sends is dropped. */
const LINGER_MS = 5_000
/** Finds devices that are gone without a packet, as IDLE_TIMEOUT does for browsers: the bridge answers the gateway's pings. */
const KEEP_ALIVE_MS = 60_000

export class TcpDevice implements Device {
  #bridge: Bridge
  #socket: Socket
  #framing: Framing
  #parser: Parser
  #gateway: GatewaySocket
  #isReading = true
  #hasEnded = false
  #isBlocked = false
  #hasGateway = true
  #timer: NodeJS.Timeout | undefined

  /** @param socket is paused, and stays so until the gateway has accepted the device */
  constructor(bridge: Bridge, socket: Socket, source: Source) {
    this.#bridge = bridge
    this.#socket = socket
    this.#framing = bridge.settings.framing
    this.#parser = this.#framing.parser(bridge.settings.maxBytes)
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    socket
      .on('data', (bytes) => this.#read(bytes as Buffer))
      .on('end', () => this.#readEnd())
      .on('drain', () => this.#wrote())
      .on('error', () => {}) // close follows
      .on('close', () => this.#closed())
    this.#gateway = new GatewaySocket(bridge, source, {
      opened: () => socket.resume(),
      received: (payload) => this.#write(payload),
      ended: () => this.#end(),
    })
  }

  stop(): void {
    this.#discard()
    this.#gateway.close('stop', 1001, 'the bridge stops')
  }

  kill(): void {
    this.#gateway.terminate('stop')
    this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    if (!this.#isReading) return
    this.#parser.push(bytes)
    this.#pump()
  }

  /** The device has ended its side: what it sent is answered before its socket closes. */
  #readEnd(): void {
    this.#hasEnded = true
    this.#pump()
  }

  /** Sends messages until there are no more, or the gateway must be waited for. */
  #pump(): void {
    while (true) {
      if (!this.#isReading) return
      this.#isBlocked = this.#gateway.isBusy
      if (this.#isBlocked) {
        this.#socket.pause()
        return
      }
      const message = this.#parser.next() ?? (this.#hasEnded ? this.#parser.rest() : undefined)
      if (message === 'too long') return this.#refuseLong()
      if (!message) break
      this.#gateway.send(message, () => this.#drained())
    }
    if (this.#hasEnded) this.#gateway.finish('device', 1000, '')
    else this.#socket.resume()
  }

  #drained(): void {
    if (this.#isBlocked) this.#pump()
  }

  #refuseLong(): void {
    const { maxBytes } = this.#bridge.settings
    this.#bridge.log.line(
      'too_large',
      `${this.#gateway} sent a message of more than ${maxBytes} bytes: closed with 1009`,
    )
    this.#discard()
    this.#gateway.finish('too_large', 1009, `a message of more than ${maxBytes} bytes`)
  }

  #write(payload: Buffer): void {
    if (!this.#socket.writable || this.#socket.write(this.#framing.encode(payload))) return
    this.#gateway.pause()
    this.#timer ??= setTimeout(() => this.#giveUp(), this.#bridge.settings.timeoutMs)
  }

  #wrote(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#gateway.resume()
  }

  #giveUp(): void {
    const seconds = this.#bridge.settings.timeoutMs / 1000
    this.#bridge.log.line('slow', `${this.#gateway} has not read what waits for it within ${seconds} s: closed`)
    this.#gateway.close('slow', 1008, 'the device does not read')
    this.#socket.destroy()
  }

  /** Reads on, and drops what comes: a connection that is closed with bytes unread may lose what was sent (RFC 1122 section 4.2.2.13). */
  #discard(): void {
    this.#isReading = false
    this.#socket.resume()
  }

  /** The socket of the gateway has ended. What it sent goes out before TCP ends. */
  #end(): void {
    this.#hasGateway = false
    clearTimeout(this.#timer)
    this.#discard()
    this.#socket.end()
    this.#timer = setTimeout(() => this.#socket.destroy(), LINGER_MS)
    this.#leave()
  }

  #closed(): void {
    clearTimeout(this.#timer)
    this.#isReading = false
    this.#gateway.resume()
    if (!this.#gateway.isClosing) this.#gateway.terminate('broken')
    this.#leave()
  }

  /** Gives its place up when nothing of it is left. */
  #leave(): void {
    if (this.#hasGateway || !this.#socket.closed) return
    clearTimeout(this.#timer)
    this.#bridge.remove(this)
  }
}
