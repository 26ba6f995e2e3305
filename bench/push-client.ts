/**
 * Sockets that only read, and the publisher beside them: a publish is timed from before its request until each socket has
 * the frame. push-client.ts '<Pushes as JSON>'
 */
import { request as httpRequest, Agent } from 'node:http'
import { connect } from 'node:net'
import { HANDSHAKE, PAYLOAD, PONG } from './client-bytes.ts'
import { Latencies } from './latencies.ts'

export type Pushes = {
  port: number
  sockets: number
  seconds: number
  /** Publishes that are under way at once. */
  burst: number
  /** Where a publish is posted to. */
  target: { socketPath: string } | { port: number }
  path: string
  from: string[]
}
export type Pushed = { deliveries: number, seconds: number, p50: number, p99: number, processorTime: number }

const task = JSON.parse(process.argv[2]!) as Pushes
const FRAME_BYTES = 2 + PAYLOAD.length
const READ_BUFFER = Buffer.allocUnsafe(262144)
const PING = 0x89
const AT_ONCE = 64
const latencies = new Latencies()
const agent = new Agent({ keepAlive: true, maxSockets: task.burst })

let began = 0
let left = 0
let finished = (): void => {}

function arrived (frames: number): void {
  latencies.add(performance.now() - began)
  left -= frames
  if (left === 0) finished()
}

function open (from: string): Promise<void> {
  return new Promise((resolve) => {
    let isOpen = false
    let bytes = 0
    const read = (length: number): boolean => {
      if (!isOpen) {
        isOpen = true
        if (!READ_BUFFER.toString('latin1', 0, length).startsWith('HTTP/1.1 101 ')) fail('a handshake was refused')
        resolve()
        return true
      }
      if (bytes === 0 && READ_BUFFER[0] === PING) {
        socket.write(PONG)
        return true
      }
      bytes += length
      const frames = Math.floor(bytes / FRAME_BYTES)
      bytes -= frames * FRAME_BYTES
      if (frames > 0) arrived(frames)
      return true
    }
    const socket = connect({ port: task.port, host: '127.0.0.1', localAddress: from, onread: { buffer: READ_BUFFER, callback: read } })
    socket.on('connect', () => socket.write(HANDSHAKE))
    socket.on('error', (error) => fail(error.message)).on('close', () => fail('the server closed a socket'))
  })
}

function fail (reason: string): never {
  console.error(reason)
  process.exit(1)
}

function publish (): void {
  const outgoing = httpRequest({ ...task.target, path: task.path, method: 'POST', agent, headers: { 'content-type': 'text/plain', 'content-length': PAYLOAD.length } },
    (response) => {
      if (response.statusCode !== 200) fail(`a publish was answered with ${response.statusCode}`)
      response.resume()
    })
  outgoing.on('error', (error) => fail(error.message))
  outgoing.end(PAYLOAD)
}

function round (): Promise<void> {
  return new Promise((resolve) => {
    finished = resolve
    left = task.sockets * task.burst
    began = performance.now()
    for (let i = 0; i < task.burst; i++) publish()
  })
}

async function run (milliseconds: number): Promise<{ rounds: number, elapsed: number }> {
  const start = performance.now()
  let rounds = 0
  while (performance.now() - start < milliseconds) {
    await round()
    rounds += 1
  }
  return { rounds, elapsed: performance.now() - start }
}

async function openSome (lane: number): Promise<void> {
  for (let i = lane; i < task.sockets; i += AT_ONCE) await open(task.from[i % task.from.length]!)
}

await Promise.all(Array.from({ length: AT_ONCE }, (_, lane) => openSome(lane)))
await run(500)
latencies.clear()
process.send!('begin')
const cpu = process.cpuUsage()
const { rounds, elapsed } = await run(task.seconds * 1000)
const { user, system } = process.cpuUsage(cpu)
const result: Pushed = {
  deliveries: rounds * task.burst * task.sockets,
  seconds: elapsed / 1000,
  p50: latencies.percentile(0.5),
  p99: latencies.percentile(0.99),
  processorTime: user + system
}
process.send!(result, () => process.exit())
process.on('disconnect', () => process.exit())
