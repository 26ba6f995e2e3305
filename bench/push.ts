/** The section push: pushes to all subscribers of a topic, beside a Node `ws` server that sends to all its sockets. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { HANDSHAKE, PAYLOAD } from './client-bytes.ts'
import { NO_PINGS, startTopicGateway } from './gateways.ts'
import type { Options } from './options.ts'
import { processorTime } from './proc.ts'
import { message, startLua, startNode, stop } from './processes.ts'
import type { Row } from './table.ts'

/** The task of push-client.lua. */
type Pushes = {
  /** Where sockets connect, in turns. */
  ports: number[]
  sockets: number
  seconds: number
  /** Publishes that are under way at the same time. */
  burst: number
  /** Where to post a publish. */
  target: { socketPath: string } | { port: number }
  path: string
  from: string[]
  handshake: string
  payload: string
}
type Pushed = {
  deliveries: number
  seconds: number
  /** On the wire, of each frame. */
  frameBytes: number
  p50: number
  p99: number
  processorTime: number
}
export type Peer = { key: 'framegate' | 'middle'; pid: number; port: number; target: Pushes['target']; path: string }

/** Numbers of sockets, and of pushes under way at the same time. */
const CELLS = [
  [1000, 1],
  [1000, 100],
  [10000, 1],
  [10000, 20],
] as const
const FROM = ['127.0.0.2', '127.0.0.3']

/** What is pushed, and to whom. */
export type Wave = { sockets: number; burst: number; handshake: string; payload: string }

/** What the rounds of both peers gave. */
export type Cell = Record<'deliveries' | 'p50' | 'p99' | 'server' | 'client' | 'bytes', Row['rounds']>

/** Runs both peers, and stops them when everything is measured. */
export async function withPeers(measure: (peers: Peer[]) => Promise<Row[]>): Promise<Row[]> {
  const gateway = await startTopicGateway(NO_PINGS)
  const node = startNode('the Node ws server', join(import.meta.dirname, 'broadcast-server.ts'))
  const { port } = await message<{ port: number }>(node)
  const rows = await measure([
    {
      key: 'framegate',
      pid: gateway.pid,
      port: gateway.port,
      target: { socketPath: gateway.controlSocket },
      path: '/topics/bench',
    },
    { key: 'middle', pid: node.pid!, port, target: { port }, path: '/' },
  ])
  await Promise.all([gateway.stop(), stop(node as ChildProcess)])
  return rows
}

export async function measurePush(options: Options): Promise<Row[]> {
  return withPeers(async (peers) => {
    const rows: Row[] = []
    for (const [sockets, burst] of CELLS) {
      const wave = { sockets, burst, handshake: HANDSHAKE, payload: PAYLOAD.toString() }
      rows.push(...rowsOf(await measureCell(peers, wave, options), sockets, burst))
    }
    return rows
  })
}

/** Pushes to the sockets of both peers in turns, in each round. */
export async function measureCell(peers: Peer[], wave: Wave, options: Options): Promise<Cell> {
  const cell: Cell = { deliveries: {}, p50: {}, p99: {}, server: {}, client: {}, bytes: {} }
  for (let round = 0; round < options.rounds; round++) {
    for (const peer of peers) {
      const { result, server } = await push(peer, wave, options.seconds)
      const values = {
        deliveries: result.deliveries / result.seconds,
        p50: result.p50,
        p99: result.p99,
        server: server / result.deliveries,
        client: result.processorTime / 1e4 / result.seconds,
        bytes: result.frameBytes,
      }
      for (const [name, value] of Object.entries(values)) (cell[name as keyof Cell][peer.key] ??= []).push(value)
    }
  }
  return cell
}

/** Pushes again and again. `server` is the processor time of the peer, in microseconds. */
async function push(peer: Peer, wave: Wave, seconds: number): Promise<{ result: Pushed; server: number }> {
  const task: Pushes = {
    ...wave,
    ports: [peer.port],
    seconds,
    target: peer.target,
    path: peer.path,
    from: FROM,
  }
  const client = startLua('the push client', join(import.meta.dirname, 'push-client.lua'), task)
  await message(client)
  const before = processorTime(peer.pid)
  const result = await message<Pushed>(client)
  const server = processorTime(peer.pid) - before
  await stop(client)
  return { result, server }
}

/** Here the column (a) is the Node `ws` server. */
function rowsOf(cell: Cell, sockets: number, burst: number): Row[] {
  const what = burst === 1 ? 'one push after the other' : `${burst} pushes at once`
  const section = `push to ${sockets.toLocaleString('en')} sockets, ${what}; (a) is Node ws`
  const latency = burst === 1 && sockets === 1000 ? { limit: 2000 } : {}
  return [
    { section, figure: 'deliveries/s', rounds: cell.deliveries, digits: 0, atLeast: { middle: burst === 1 ? 1 : 5 } },
    { section, figure: 'from publish to arrival, p50, µs', rounds: cell.p50, digits: 0, ...latency },
    { section, figure: 'from publish to arrival, p99, µs', rounds: cell.p99, digits: 0 },
    { section, figure: 'processor time of the server, µs a delivery', rounds: cell.server, digits: 2 },
    { section, figure: 'processor time of the client, % of a core', rounds: cell.client, digits: 0, noRatio: true },
  ]
}
