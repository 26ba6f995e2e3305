/** What these tests share: gateways that are one cluster over a Redis of the test's own, and sockets that note what comes. */
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, type Member, pushGateway } from '../support/push-gateway.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

/** What `reaches` pushes. */
export const PROBE = 'probe'

export type Cluster = { redis: Redis; nodes: Gateway[] }

export type ClusterOptions = {
  env?: Record<string, string>
  /** Lines of redis.conf. */
  lines?: string[]
  expect?: RegExp[]
  routes?: (app: FastifyInstance) => void
}

/** A socket that notes every frame behind the first, which is its id. */
export type Listener = Member & { received: string[] }

function routes(app: FastifyInstance): void {
  app.ws('/ws/plain', {
    open(request, reply) {
      const { user } = request.query as { user?: string }
      if (user) reply.user = user
      reply.frame(request.event.connectionId)
    },
    // A message is "publish TOPIC TEXT", "subscribe TOPIC", or is answered as it is.
    message(request, reply) {
      const [verb, topic, ...words] = String(request.body).split(' ')
      if (verb === 'publish') return reply.publish(topic!, words.join(' ')).send()
      if (verb === 'subscribe') return reply.subscribe(topic!).send('subscribed')
      return request.body
    },
  })
}

/** Starts a gateway that is a node. */
export function startNode(
  t: TestContext,
  env: Record<string, string>,
  { expect = [], routes: more }: ClusterOptions = {},
): Promise<Gateway> {
  return pushGateway(t, env, {
    expect,
    routes: (app) => {
      routes(app)
      more?.(app)
    },
  })
}

/**
 * Resolves when Redis sees so many nodes, each with one link. A link that another worker has taken over goes on for 10 s
 * while it has something under way.
 */
export async function nodesInRedis(redis: Redis, count: number, ms = 30_000): Promise<void> {
  await until(
    `${count} nodes`,
    async () => {
      const ask = (...command: string[]): Promise<string> => redis.ask(...command).catch(() => '') // it may be starting
      const links = await ask('PUBSUB', 'NUMSUB', 'framegate:all')
      return links.includes(`:${count}\r\n`) && (await ask('HLEN', 'framegate:nodes')).endsWith(`:${count}\r\n`)
    },
    ms,
  )
}

export function urlOf(redis: Redis): string {
  return `redis://127.0.0.1:${redis.port}`
}

/** Starts a Redis and so many nodes of two workers, which know one another. */
export async function startCluster(t: TestContext, count: number, options: ClusterOptions = {}): Promise<Cluster> {
  const redis = await startRedis(t, { lines: options.lines ?? [] })
  const env = { REDIS_URL: urlOf(redis), ...options.env }
  const nodes: Gateway[] = []
  for (let i = 0; i < count; i += 1) nodes.push(await startNode(t, env, options))
  await nodesInRedis(redis, count)
  return { redis, nodes }
}

function listen(client: Client, received: string[]): void {
  client.socket.on('message', (data) => received.push(data.toString()))
}

/** Opens a socket that notes what comes. */
export async function listener(gateway: Gateway, path: string): Promise<Listener> {
  const client = await open(`${gateway.ws}/ws/${path}`)
  const id = String(await client.next())
  const received: string[] = []
  listen(client, received)
  return { client, id, received }
}

/** Many of them, a few at a time. */
export async function listeners(gateway: Gateway, path: string, count: number): Promise<Listener[]> {
  const all: Listener[] = []
  while (all.length < count) {
    const more = Array.from({ length: Math.min(50, count - all.length) }, () => listener(gateway, path))
    all.push(...(await Promise.all(more)))
  }
  return all
}

/** Resolves when a push to a topic reaches so many sockets, through this node. One that does not takes CLUSTER_WAIT, 2 s. */
export async function reaches(gateway: Gateway, topic: string, count: number, ms?: number): Promise<void> {
  await until(
    `a push reaches ${count}`,
    async () => {
      const answer = await ask(gateway, 'POST', `/topics/${topic}`, { body: PROBE })
      return answer.status === 200 && answer.json.delivered === count
    },
    ms,
  )
}

/** A frame that is different from all others. */
export function numbered(prefix: string): () => string {
  let last = 0
  return () => {
    last += 1
    return `${prefix} ${last}`
  }
}
