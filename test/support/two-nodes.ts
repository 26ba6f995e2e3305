/** A Redis, and two gateways that it makes one. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { Gateway as Api, type NodeList } from '../../plugin/gateway/gateway.ts'
import type { Gateway } from './gateway.ts'
import { controlSocket, pushGateway } from './push-gateway.ts'
import { type Redis, startRedis } from './redis.ts'
import { until } from './wait.ts'

export type TwoNodes = { redis: Redis; north: Gateway; south: Gateway }

export async function nodesOf(gateway: Gateway): Promise<NodeList> {
  const api = new Api({ url: `unix:${controlSocket(gateway)}` })
  return api.nodes().finally(() => api.end())
}

/** The list of nodes of this gateway, once it is as expected. */
export async function untilNodes(
  gateway: Gateway,
  what: string,
  fits: (list: NodeList) => boolean,
  ms?: number,
): Promise<NodeList> {
  return until(
    what,
    async () => {
      const list = await nodesOf(gateway)
      return fits(list) && list
    },
    ms,
  )
}

/** Whether the links of all of so many nodes are up. */
export function areUp(count: number): (list: NodeList) => boolean {
  return ({ nodes }) => nodes.length === count && nodes.every((node) => node.is_up)
}

/** They know each other when this resolves. `env` is given the name of the node; `expect` are lines at error level. */
export async function startTwoNodes(
  t: TestContext,
  {
    env = () => ({}),
    ...options
  }: {
    env?: (name: string) => Record<string, string>
    expect?: RegExp[]
    routes?: (app: FastifyInstance) => void
  } = {},
): Promise<TwoNodes> {
  const redis = await startRedis(t)
  const start = (name: string): Promise<Gateway> =>
    pushGateway(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}`, NODE_NAME: name, ...env(name) }, options)
  const [north, south] = await Promise.all([start('north'), start('south')])
  for (const gateway of [north, south]) await untilNodes(gateway, 'both nodes are up', areUp(2))
  return { redis, north, south }
}

/** The process id of the worker that holds the link: the one with a connection to the port of Redis. */
export async function holderOf(gateway: Gateway, redis: Redis): Promise<number> {
  return until('a worker holds the link', () => linkedWorkers(gateway, redis)[0])
}

/** Waits until another worker holds the link, and `former`, which has up to 10 s to finish, does not any more. */
export async function otherHolder(gateway: Gateway, redis: Redis, former: number): Promise<number> {
  const other = (): number | false | undefined => {
    const linked = linkedWorkers(gateway, redis)
    return !linked.includes(former) && linked[0]
  }
  return until('another worker holds the link', other, 30_000)
}

/** The workers with a connection to Redis (proc(5), /proc/net/tcp): two while the link changes hands. */
function linkedWorkers(gateway: Gateway, { port }: Redis): number[] {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const inodes = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[2]?.endsWith(remote) && fields[3] === '01')
    .map((fields) => `socket:[${fields[9]}]`)
  return gateway.workers().filter((pid) => filesOf(pid).some((file) => inodes.includes(file)))
}

/** What the open files of a process are; nothing when it has ended meanwhile. */
function filesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed since it was listed
  }
}
