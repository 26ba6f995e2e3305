// A bridge: what all its devices share, and its life from the first port to the last device.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Listen } from './address.ts'
import { Counters } from './counters.ts'
import type { Framing } from './framing.ts'
import { describe, type Source } from './gateway-socket.ts'
import { LimitedLog } from './limited-log.ts'
import { serveMetrics } from './metrics-server.ts'
import { listenTcp } from './tcp-listener.ts'
import { listenUdp } from './udp-listener.ts'

/** The gateway answers earlier messages for 2 s, and a device may take 5 s to close its side. */
const STOP_MS = 8_000

export type Settings = {
  /** Of the gateway's sockets: ws:// or wss://, with the path. */
  url: string
  framing: Framing
  tcp?: Listen | undefined
  udp?: Listen | undefined
  metrics?: Listen | undefined
  maxConnections: number
  maxBytes: number
  /** After which a UDP device without a datagram is gone. */
  idleMs: number
  /** For the handshake, and for a TCP device that does not read. */
  timeoutMs: number
}

export type Device = {
  /** Closes its socket with 1001, after the answers to what it has sent. */
  stop: () => void
  /** Ends it without waiting. */
  kill: () => void
}

/** A port that is open. */
export type Listener = {
  /** Accepts no new devices. */
  stop: () => void
  /** Gives the port up. Devices must be gone. */
  close: () => void
}

export class Bridge {
  readonly settings: Settings
  readonly counters = new Counters()
  readonly log = new LimitedLog()
  #devices = new Set<Device>()
  #listeners: Listener[] = []
  #isEmpty = Promise.withResolvers<void>()

  constructor(settings: Settings) {
    this.settings = settings
    this.counters.add('max_connections', {}, settings.maxConnections)
  }

  /** Opens the ports. @throws {Failure} when one cannot be opened */
  async start(): Promise<void> {
    const { tcp, udp, metrics } = this.settings
    if (metrics) this.#listeners.push(await serveMetrics(this, metrics))
    if (tcp) this.#listeners.push(await listenTcp(this, tcp))
    if (udp) this.#listeners.push(await listenUdp(this, udp))
  }

  /** Adds a device that `make` makes, unless there is no room for it. */
  admit<T extends Device>(source: Source, make: () => T): T | undefined {
    const { maxConnections } = this.settings
    if (this.#devices.size >= maxConnections) {
      this.counters.add('sockets_refused_total', { transport: source.transport, cause: 'full' })
      this.log.line('full', `no room for ${describe(source)}: there are ${maxConnections} devices (--max-connections)`)
      return undefined
    }
    const device = make()
    this.#devices.add(device)
    return device
  }

  remove(device: Device): void {
    this.#devices.delete(device)
    if (this.#devices.size === 0) this.#isEmpty.resolve()
  }

  /** Accepts nothing new, closes all sockets, and resolves when they are gone or 8 s have passed. */
  async stop(): Promise<void> {
    this.#isEmpty = Promise.withResolvers()
    if (this.#devices.size === 0) this.#isEmpty.resolve()
    for (const listener of this.#listeners) listener.stop()
    for (const device of this.#devices) device.stop()
    await Promise.race([this.#isEmpty.promise, sleep(STOP_MS)])
    for (const device of this.#devices) device.kill()
    for (const listener of this.#listeners) listener.close()
  }
}
