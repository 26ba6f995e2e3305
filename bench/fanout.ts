/**
 * The section fanout: pushes at a steady rate to the users of one topic, with the figures that vendors publish: users,
 * messages a second, the latency's median, p95 and p99, and joins a second.
 */
import { join } from 'node:path'
import { HANDSHAKE, PAYLOAD } from './client-bytes.ts'
import { turn } from './load.ts'
import type { Options } from './options.ts'
import { type Peer, withPeers } from './peers.ts'
import { processorTime } from './proc.ts'
import { message, startLua, stop } from './processes.ts'
import { FROM } from './push.ts'
import type { Row } from './table.ts'

/** The rate that is offered: messages that arrive at all users together, in a second. */
const MESSAGES_PER_SECOND = 50_000
const MOST_PUSHES_PER_SECOND = 100

/** The task of fanout-client.lua. */
type Task = {
  port: number
  users: number
  pushesPerSecond: number
  warmUp: number
  seconds: number
  target: Peer['target']
  path: string
  from: string[]
  handshake: string
  payload: string
}
type Result = Record<'messages' | 'seconds' | 'p50' | 'p95' | 'p99' | 'joins', number>
type Figures = Record<'messages' | 'p50' | 'p95' | 'p99' | 'joins' | 'server', Row['rounds']>

export async function measureFanout(options: Options): Promise<Row[]> {
  return withPeers(['node', 'nchan', 'loop'], async (peers) => {
    const rows: Row[] = []
    for (const users of options.subscribers) {
      const figures: Figures = { messages: {}, p50: {}, p95: {}, p99: {}, joins: {}, server: {} }
      for (let round = 0; round < options.rounds; round++) {
        for (const peer of turn(peers, round)) {
          for (const [name, value] of Object.entries(await measure(peer, users, options)))
            (figures[name as keyof Figures][peer.key] ??= []).push(value)
        }
      }
      rows.push(...rowsOf(users, figures))
    }
    return rows
  })
}

async function measure(peer: Peer, users: number, options: Options): Promise<Record<keyof Figures, number>> {
  const task: Task = {
    port: peer.port,
    users,
    pushesPerSecond: pushesPerSecond(users),
    warmUp: options.warmUp,
    seconds: options.seconds,
    target: peer.target,
    path: peer.path,
    from: FROM,
    handshake: HANDSHAKE,
    payload: PAYLOAD.toString(),
  }
  const client = startLua('the fan-out client', join(import.meta.dirname, 'fanout-client.lua'), task)
  await message(client)
  const before = processorTime(peer.pid)
  const { messages, seconds, ...latencies } = await message<Result>(client)
  const server = (processorTime(peer.pid) - before) / 1000 / seconds
  await stop(client)
  return { ...latencies, messages: messages / seconds, server }
}

function pushesPerSecond(users: number): number {
  return Math.min(MOST_PUSHES_PER_SECOND, MESSAGES_PER_SECOND / users)
}

function rowsOf(users: number, figures: Figures): Row[] {
  const section = `${users.toLocaleString('en')} users of a topic, ${pushesPerSecond(users)} pushes a second`
  return [
    { section, figure: 'messages a second, all users together', rounds: figures.messages, digits: 0, noRatio: true },
    { section, figure: 'latency, median, ms', rounds: inMilliseconds(figures.p50), digits: 2 },
    { section, figure: '… p95, ms', rounds: inMilliseconds(figures.p95), digits: 2 },
    { section, figure: '… p99, ms', rounds: inMilliseconds(figures.p99), digits: 2 },
    { section, figure: 'joins a second', rounds: figures.joins, digits: 0 },
    { section, figure: 'processor time of the server, ms a second', rounds: figures.server, digits: 0 },
  ]
}

function inMilliseconds(rounds: Row['rounds']): Row['rounds'] {
  return Object.fromEntries(
    Object.entries(rounds).map(([key, values]) => [key, values.map((microseconds) => microseconds / 1000)]),
  )
}
