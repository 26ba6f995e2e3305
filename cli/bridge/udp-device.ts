// A device that sends datagrams from one address and port.
// UDP has no end, so a device that is silent for --idle is gone, and what cannot be passed on is dropped and counted.
import type { Socket } from 'node:dgram'
import type { Bridge, Device } from './bridge.ts'
import type { Message } from './framing.ts'
import { GatewaySocket, type Source } from './gateway-socket.ts'

/** How many bytes and messages may wait for the answer to the handshake. */
const WAITING_BYTES = 65_536
const WAITING_MESSAGES = 64
/** How many bytes may wait in this process for the network. */
const QUEUED_BYTES = 1024 * 1024
/** How long a device that was refused gets no second handshake. */
const REFUSED_MS = 1_000

export type Peer = {
  source: Source
  /** Where its frames go, as the socket wrote it. */
  remote: { address: string; port: number }
  /** Called when the next datagram from there makes a new device; more than once has no effect. */
  ended: () => void
}

export class UdpDevice implements Device {
  #bridge: Bridge
  #socket: Socket
  #peer: Peer
  #gateway: GatewaySocket
  #waiting: Message[] = []
  #waitingBytes = 0
  #isRefused = false
  #timer: NodeJS.Timeout

  constructor(bridge: Bridge, socket: Socket, peer: Peer) {
    this.#bridge = bridge
    this.#socket = socket
    this.#peer = peer
    this.#timer = setTimeout(() => this.#close('idle', 'no datagram came'), bridge.settings.idleMs)
    this.#gateway = new GatewaySocket(bridge, peer.source, {
      opened: () => this.#open(),
      received: (payload) => this.#write(payload),
      ended: () => this.#end(),
    })
  }

  /** Accepts a datagram. */
  receive(payload: Buffer): void {
    if (this.#isRefused || payload.length > this.#bridge.settings.maxBytes) return this.#drop('in')
    this.#timer.refresh()
    const message = this.#bridge.settings.framing.datagram(payload)
    if (!this.#gateway.wasOpen) this.#keep(message)
    else if (this.#gateway.isBusy) this.#drop('in')
    else this.#gateway.send(message, () => {})
  }

  stop(): void {
    if (this.#isRefused) this.#leave()
    else this.#close('stop', 'the bridge stops')
  }

  kill(): void {
    this.#gateway.terminate('stop')
  }

  #close(cause: 'idle' | 'stop', reason: string): void {
    this.#peer.ended()
    this.#gateway.close(cause, 1001, reason)
  }

  #keep(message: Message): void {
    const bytes = this.#waitingBytes + message.payload.length
    if (this.#waiting.length === WAITING_MESSAGES || bytes > WAITING_BYTES) return this.#drop('in')
    this.#waiting.push(message)
    this.#waitingBytes = bytes
  }

  #open(): void {
    for (const message of this.#waiting) this.#gateway.send(message, () => {})
    this.#waiting = []
  }

  #write(payload: Buffer): void {
    if (this.#socket.getSendQueueSize() > QUEUED_BYTES) return this.#drop('out')
    const { address, port } = this.#peer.remote
    this.#socket.send(payload, port, address, (error) => {
      if (!error) return
      this.#drop('out')
      const text = `a frame of ${payload.length} bytes did not reach ${this.#gateway}: ${error.message}`
      this.#bridge.log.line('datagram', text)
    })
  }

  #drop(direction: 'in' | 'out'): void {
    this.#bridge.counters.add('datagrams_dropped_total', { direction })
  }

  #end(): void {
    clearTimeout(this.#timer)
    for (const _ of this.#waiting) this.#drop('in')
    this.#waiting = []
    this.#isRefused = !this.#gateway.wasOpen && !this.#gateway.isClosing
    if (this.#isRefused) this.#timer = setTimeout(() => this.#leave(), REFUSED_MS)
    else this.#leave()
  }

  #leave(): void {
    clearTimeout(this.#timer)
    this.#peer.ended()
    this.#bridge.remove(this)
  }
}
