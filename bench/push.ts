/**
 * The section push: pushes to all subscribers of a topic as fast as they go, beside a Node `ws` server that sends to all
 * its sockets, beside Nchan, and beside the limit of one push: a process that only calls send(2) for each socket.
 */
import { join } from 'node:path'
import { HANDSHAKE, PAYLOAD } from './client-bytes.ts'
import { turn } from './load.ts'
import type { Options } from './options.ts'
import { type Peer, withPeers } from './peers.ts'
import { processorTime } from './proc.ts'
import { message, startLua, stop } from './processes.ts'
import type { Row } from './table.ts'

/** The task of push-client.lua. */
type Pushes = {
  /** Where sockets connect, in turns. */
  ports: number[]
  sockets: number
  warmUp: number
  seconds: number
  /** Publishes that are under way at the same time. */
  burst: number
  target: Peer['target']
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

/** Deliveries that are under way at the same time in a burst, and pushes of one burst at most. */
const BURST_DELIVERIES = 200_000
const MOST_PUSHES = 100
/** Addresses from which the sockets connect: one has ports for fewer than 30,000. */
export const FROM = ['127.0.0.2', '127.0.0.3']

/** What is pushed, and to whom. */
export type Wave = { sockets: number; burst: number; handshake: string; payload: string }

/** What the rounds of all peers gave. */
export type Cell = Record<'deliveries' | 'p50' | 'p99' | 'server' | 'client' | 'bytes', Row['rounds']>

export async function measurePush(options: Options): Promise<Row[]> {
  return withPeers(['node', 'nchan', 'loop'], async (peers) => {
    const rows: Row[] = []
    for (const sockets of options.subscribers) {
      for (const burst of [1, Math.min(MOST_PUSHES, Math.max(2, BURST_DELIVERIES / sockets))]) {
        const wave = { sockets, burst: Math.floor(burst), handshake: HANDSHAKE, payload: PAYLOAD.toString() }
        rows.push(...rowsOf(await measureCell(peers, wave, options), wave))
      }
    }
    return rows
  })
}

/** Pushes to the sockets of all peers in turns, in each round. */
export async function measureCell(peers: Peer[], wave: Wave, options: Options): Promise<Cell> {
  const cell: Cell = { deliveries: {}, p50: {}, p99: {}, server: {}, client: {}, bytes: {} }
  for (let round = 0; round < options.rounds; round++) {
    for (const peer of turn(peers, round)) {
      const { result, server } = await push(peer, wave, options)
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
async function push(peer: Peer, wave: Wave, options: Options): Promise<{ result: Pushed; server: number }> {
  const task: Pushes = {
    ...wave,
    ports: [peer.port],
    warmUp: options.warmUp,
    seconds: options.seconds,
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

function rowsOf(cell: Cell, { sockets, burst }: Wave): Row[] {
  const isAlone = burst === 1
  const what = isAlone ? 'one push after the other' : `${burst} pushes at once`
  const section = `push to ${sockets.toLocaleString('en')} sockets, ${what}`
  const isMeasure = isAlone && sockets === 1000
  const atLeast = { node: isAlone ? 1 : 5, ...(isMeasure && { loop: 0.9 }) }
  return [
    { section, figure: 'deliveries/s', rounds: cell.deliveries, digits: 0, atLeast },
    {
      section,
      figure: 'from publish to arrival, p50, µs',
      rounds: cell.p50,
      digits: 0,
      ...(isMeasure && { limit: 2000 }),
    },
    { section, figure: 'from publish to arrival, p99, µs', rounds: cell.p99, digits: 0 },
    { section, figure: 'processor time of the server, µs a delivery', rounds: cell.server, digits: 2 },
    { section, figure: 'processor time of the client, % of a core', rounds: cell.client, digits: 0, noRatio: true },
  ]
}
