/** Who pushes: framegate, and what it is compared with. Each has a port for sockets and a way to post a push. */
import { join } from 'node:path'
import { type Gateway, type Key, NAMES, NO_PINGS, startServer, startTopicGateway } from './gateways.ts'
import { startNchan } from './nchan.ts'
import { message, startLua, stop } from './processes.ts'
import type { Row } from './table.ts'

export type Peer = {
  key: Key
  pid: number
  port: number
  /** Where to post a push. */
  target: { socketPath: string } | { port: number }
  path: string
}

const POST_PATHS = { node: '/', nchan: '/publish', loop: '/' }

/** Runs framegate and these peers, and stops them when everything is measured. */
export async function withPeers(
  keys: Array<'node' | 'nchan' | 'loop'>,
  measure: (peers: Peer[]) => Promise<Row[]>,
): Promise<Row[]> {
  const gateway = await startTopicGateway(NO_PINGS)
  const { pid, port, controlSocket } = gateway
  const starters = {
    node: () => startServer('node', 'broadcast-server.ts'),
    nchan: () => startNchan(gateway.run),
    loop: startLoop,
  }
  const peers: Peer[] = [{ key: 'framegate', pid, port, target: { socketPath: controlSocket }, path: '/topics/bench' }]
  const others: Gateway[] = []
  for (const key of keys) {
    const other = await starters[key]()
    if (!other) continue
    others.push(other)
    peers.push({ key, pid: other.pid, port: other.port, target: { port: other.port }, path: POST_PATHS[key] })
  }
  const rows = await measure(peers)
  await Promise.all([gateway.stop(), ...others.map(({ child }) => stop(child))])
  return rows
}

async function startLoop(): Promise<Gateway> {
  const child = startLua(NAMES.loop, join(import.meta.dirname, 'send-server.lua'), {})
  const { port } = await message<{ port: number }>(child)
  return { key: 'loop', port, pid: child.pid!, child }
}
