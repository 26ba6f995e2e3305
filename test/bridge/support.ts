/** `framegate bridge` in front of a real gateway, and devices that speak plain TCP and UDP. */
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { READY, type Run, run } from '../cli/framegate.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, type GatewayOptions, startGateway } from '../support/gateway.ts'
import { type Samples, samplesOf } from '../support/metrics.ts'
import { echo, type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

export type Bridge = Run & {
  tcp: number
  udp: number
  samples: () => Promise<Samples>
  /** Sends SIGTERM, and resolves with the exit code. */
  stop: () => Promise<number | null>
}

/** A bridge with a TCP port, a UDP port and one for metrics. */
export async function startBridge(t: TestContext, gateway: string, ...options: string[]): Promise<Bridge> {
  const [tcp, udp, metrics] = [await freePort(), await freePort(), await freePort()]
  const ports = ['--tcp', `${tcp}`, '--udp', `${udp}`, '--metrics', `127.0.0.1:${metrics}`]
  const args = ['cli/bin.js', 'bridge', ...ports, '--gateway', gateway, ...options, '/ws/devices?from=bridge']
  const started = run(t, process.execPath, args)
  await started.said(READY)
  return {
    ...started,
    tcp,
    udp,
    samples: async () => samplesOf(await (await fetchOnce(`http://127.0.0.1:${metrics}/metrics`)).text()),
    stop: () => {
      started.process.kill('SIGTERM')
      return started.ended
    },
  }
}

export type Parts = { gateway: Gateway; handler: ProbeHandler; bridge: Bridge }

/** Bridge, gateway that trusts it, and handler that echoes. */
export async function parts(t: TestContext, options: string[] = [], settings: GatewayOptions = {}): Promise<Parts> {
  const env = { TRUSTED_PROXIES: '127.0.0.1', MAX_CONNECTIONS_PER_IP: 'off', ...settings.env }
  const gateway = await startGateway(t, { handler: false, ...settings, env })
  const handler = await startProbeHandler(t, gateway.handlerSocket, echo)
  return { gateway, handler, bridge: await startBridge(t, gateway.ws, ...options) }
}

/** A device on a TCP connection. */
export class Device {
  readonly socket: Socket
  /** Resolves when the bridge has ended its side, or the connection broke. */
  readonly ended: Promise<void>
  #pieces: Buffer[] = []
  #lines = 0

  constructor(port: number, localAddress = '127.0.0.1') {
    this.socket = connect({
      port,
      host: localAddress === '::1' ? '::1' : '127.0.0.1',
      localAddress,
      allowHalfOpen: true,
    })
    this.socket.on('data', (bytes: Buffer) => {
      this.#pieces.push(bytes)
      for (const byte of bytes) if (byte === 0x0a) this.#lines += 1
    })
    this.socket.on('error', () => {})
    this.ended = new Promise((resolve) => this.socket.once('end', resolve).once('close', () => resolve()))
  }

  /** Everything that came. */
  get received(): Buffer {
    return Buffer.concat(this.#pieces)
  }

  write(data: string | Buffer): this {
    this.socket.write(data)
    return this
  }

  /** Resolves with all lines when there are as many. */
  async has(count: number, ms?: number): Promise<string[]> {
    await until(`${count} lines`, () => this.#lines >= count, ms)
    return this.received.toString().split('\n').slice(0, -1)
  }

  /** What came until the bridge ended its side. */
  async all(): Promise<string> {
    await this.ended
    return this.received.toString()
  }
}

/** A device that sends datagrams. */
export class UdpDevice {
  readonly socket: Datagrams
  readonly received: Buffer[] = []
  #port: number
  #host: string
  #isClosed = false

  constructor(t: TestContext, port: number, host = '127.0.0.1') {
    this.#port = port
    this.#host = host
    this.socket = createSocket(host === '::1' ? 'udp6' : 'udp4').on('message', (payload) => this.received.push(payload))
    t.after(() => this.vanish())
  }

  send(data: string | Buffer): void {
    this.socket.send(data, this.#port, this.#host)
  }

  /** Closes its port. */
  vanish(): void {
    if (!this.#isClosed) this.socket.close()
    this.#isClosed = true
  }

  has(count: number): Promise<Buffer[]> {
    return until(`${count} datagrams`, () => this.received.length >= count && this.received)
  }
}

/** The close code that the handler got for the only socket that has ended, or for the one whose event fits. */
export async function closeCode(handler: ProbeHandler, address?: string): Promise<string> {
  const event = await handler.seen(
    'close',
    ({ headers }) => address === undefined || headers['x-forwarded-for'] === address,
  )
  return String(event.headers['ce-closecode'])
}

/** Waits until a metric has a value. */
export function reaches(bridge: Bridge, name: string, value: number): Promise<boolean> {
  return until(`${name} is ${value}`, async () => (await bridge.samples())[name] === value)
}
