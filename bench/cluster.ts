/** The section cluster: pushes over one, two and three gateways with a Redis between them, and what each process pays. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HANDSHAKE, PAYLOAD } from './client-bytes.ts'
import { NO_PINGS, startTopicGateway } from './gateways.ts'
import type { Options } from './options.ts'
import { processorTime } from './proc.ts'
import { message, ready, start, startLua, stop, temporary } from './processes.ts'
import { FROM } from './push.ts'
import type { Row } from './table.ts'

const SOCKETS = 999
const RECORDED_SOCKETS = 2000
/** How much longer a push to a socket of another node may take, in µs. */
const GOAL_MORE = 1000
/** A record of a socket, in bytes of Redis. */
const GOAL_RECORD = 1024
/** Processor time of a node that has nobody for what its neighbours push, in % of a core. */
const GOAL_UNINVOLVED = 1

type Node = Awaited<ReturnType<typeof startTopicGateway>>
type Redis = { child: ChildProcess; path: string }
type Pushed = { deliveries: number; seconds: number; p50: number; p95: number; p99: number; joins: number }
type Figures = Record<string, number[]>

export async function measureCluster(options: Options): Promise<Row[]> {
  const redis = await startRedis()
  const nodes: Node[] = []
  const rows: Row[] = []
  for (let count = 1; count <= 3; count++) {
    nodes.push(await startTopicGateway({ ...NO_PINGS, REDIS_URL: `unix:${redis.path}` }))
    for (const node of nodes) await ready(node.child, 'the cluster', () => sees(node, count))
    rows.push(...(await measureNodes(nodes, options)))
  }
  rows.push(...(await measureOne(nodes, redis, options)), ...(await measureRecords(nodes[0]!, redis)))
  for (const node of nodes) await node.stop()
  await stop(redis.child)
  return rows
}

async function startRedis(): Promise<Redis> {
  const path = join(temporary(mkdtempSync(join(tmpdir(), 'framegate-bench-'))), 'redis.sock')
  const child = start({
    name: 'redis-server',
    command: 'redis-server',
    args: ['--port', '0', '--unixsocket', path, '--save', ''],
  })
  await ready(child, 'redis-server', () =>
    askRedis(path, 'PING').then(
      (reply) => reply.startsWith('+PONG'),
      () => false,
    ),
  )
  return { child, path }
}

/** Sends one command without spaces in its arguments. Resolves to the reply in RESP2. */
function askRedis(path: string, ...command: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = ''
    connect(path)
      .on('error', reject)
      .on('data', (bytes) => {
        reply += bytes
      })
      .on('close', () => resolve(reply))
      .end(`${command.join(' ')}\r\n`)
  })
}

function askNode(node: Node, path: string): Promise<{ node: string; nodes: unknown[] }> {
  return new Promise((resolve, reject) => {
    request({ socketPath: node.controlSocket, path, agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve(JSON.parse(body)))
    })
      .on('error', reject)
      .end()
  })
}

/** Whether a node has heard of all the others. */
async function sees(node: Node, count: number): Promise<boolean> {
  const { nodes } = await askNode(node, '/nodes')
  return nodes.length === count
}

/** Publishes through the first node. `nodes` have the sockets, in turns. */
async function push(
  publisher: Node,
  holders: Node[],
  { sockets, seconds, warmUp }: { sockets: number; seconds: number; warmUp: number },
  around: (run: () => Promise<Pushed>) => Promise<Pushed> = (run) => run(),
): Promise<Pushed> {
  const client = startLua('the push client', join(import.meta.dirname, 'push-client.lua'), {
    ports: holders.map(({ port }) => port),
    sockets,
    warmUp,
    seconds,
    burst: 1,
    target: { socketPath: publisher.controlSocket },
    path: '/topics/bench',
    from: FROM,
    handshake: HANDSHAKE,
    payload: PAYLOAD.toString(),
  })
  await message(client)
  const result = await around(() => message<Pushed>(client))
  await stop(client)
  return result
}

function note(figures: Figures, values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values)) (figures[name] ??= []).push(value)
}

async function measureNodes(nodes: Node[], options: Options): Promise<Row[]> {
  const figures: Figures = {}
  for (let round = 0; round < options.rounds; round++) {
    const pids = [nodes[0]!.pid, nodes.at(-1)!.pid]
    let spent: number[] = []
    const result = await push(nodes[0]!, nodes, { ...options, sockets: SOCKETS }, async (run) => {
      const before = pids.map(processorTime)
      const value = await run()
      spent = pids.map((pid, i) => processorTime(pid) - before[i]!)
      return value
    })
    const perNode = result.deliveries / nodes.length
    note(figures, {
      'deliveries/s': result.deliveries / result.seconds,
      'from publish to arrival, p50, µs': result.p50,
      'from publish to arrival, p95, µs': result.p95,
      'from publish to arrival, p99, µs': result.p99,
      'sockets that open and subscribe, per second': result.joins,
      'processor time of the node that publishes, µs a delivery': spent[0]! / perNode,
      'processor time of another node, µs a delivery': spent[1]! / perNode,
    })
  }
  const section = `one push after the other to ${SOCKETS} sockets on ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`
  return Object.entries(figures)
    .filter(([figure]) => nodes.length > 1 || !figure.includes('another node'))
    .map(([figure, rounds]) => ({
      section,
      figure,
      rounds: { framegate: rounds },
      digits: figure.includes('a delivery') ? 2 : 0,
    }))
}

/** A push to one socket: on the node that publishes, and on another. Beside them a node that has no subscriber. */
async function measureOne(nodes: Node[], redis: Redis, options: Options): Promise<Row[]> {
  const figures: Figures = {}
  const [publisher, other, uninvolved] = nodes as [Node, Node, Node]
  for (let round = 0; round < options.rounds; round++) {
    const local = await push(publisher, [publisher], { ...options, sockets: 1 })
    const pids = [publisher.pid, other.pid, redis.child.pid!, uninvolved.pid]
    let spent: number[] = []
    const remote = await push(publisher, [other], { ...options, sockets: 1 }, async (run) => {
      const before = pids.map(processorTime)
      const value = await run()
      spent = pids.map((pid, i) => processorTime(pid) - before[i]!)
      return value
    })
    note(figures, {
      'p50 on the node that publishes, µs': local.p50,
      'p50 on another node, µs': remote.p50,
      more: remote.p50 - local.p50,
      publisher: spent[0]! / remote.deliveries,
      other: spent[1]! / remote.deliveries,
      redis: spent[2]! / remote.deliveries,
      uninvolved: spent[3]! / 1e4 / remote.seconds,
    })
  }
  const section = 'a push to one socket, three nodes'
  const row = (figure: string, name: string, digits: number, limit?: number): Row => ({
    section,
    figure,
    rounds: { framegate: figures[name]! },
    digits,
    ...(limit === undefined ? {} : { limit }),
  })
  return [
    row('p50 on the node that publishes, µs', 'p50 on the node that publishes, µs', 0),
    row('p50 on another node, µs', 'p50 on another node, µs', 0),
    row('… how much more that is, µs', 'more', 0, GOAL_MORE),
    row('… processor time of the node that publishes, µs a push', 'publisher', 0),
    row('… processor time of the other node, µs a push', 'other', 0),
    row('… processor time of Redis, µs a push', 'redis', 0),
    row('processor time of a node without subscribers, % of a core', 'uninvolved', 1, GOAL_UNINVOLVED),
  ]
}

async function measureRecords(node: Node, redis: Redis): Promise<Row[]> {
  let bytes = Number.NaN
  await push(node, [node], { sockets: RECORDED_SOCKETS, seconds: 0.1, warmUp: 0.1 }, async (run) => {
    const value = await run()
    const { node: id } = await askNode(node, '/status')
    const reply = await askRedis(redis.path, 'MEMORY', 'USAGE', `framegate:records:${id}`, 'SAMPLES', '0')
    bytes = Number(reply.slice(1)) / RECORDED_SOCKETS
    return value
  })
  return [
    {
      section: `${RECORDED_SOCKETS.toLocaleString('en')} sockets without cookies`,
      figure: 'memory of Redis, bytes a socket',
      rounds: { framegate: [bytes] },
      digits: 0,
      limit: GOAL_RECORD,
    },
  ]
}
