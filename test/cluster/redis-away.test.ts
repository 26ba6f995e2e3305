// Redis is stopped, killed, cut off or replaced in the middle of pushing: nodes go on alone, promise nothing that they cannot
// keep, and are one again soon after its return.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ask, leave } from '../support/push-gateway.ts'
import { FAILOVER_MS, startRedis, startReplica, startSentinel } from '../support/redis.ts'
import { startSwallowingProxy } from '../support/swallowing-proxy.ts'
import { until } from '../support/wait.ts'
import { type Cluster, listener, nodesInRedis, reaches, startCluster, startNode } from './support.ts'
import { during, startTraffic } from './traffic.ts'

const LOCAL_MS = 500 // to the sockets of its own node; one that waits for Redis takes up to 1 s, the shortest fault
// The pause between two dials is 1 s at most, and so is the wait for an answer to each. Then the topics are subscribed to.
const RETURN_MS = 9000
const BROKEN_MS = 2000 // a link without an answer for this long is made anew

type Fault = {
  /** Begins the fault. */
  begin: () => void | Promise<void>
  /** Ends it. */
  end: () => void | Promise<void>
  ms: number
  /** Whether links are made anew within 2 s. */
  breaksLinks?: boolean
}

/** Pushes before, during and after a fault. Returns how many were refused and how many publications were lost. */
async function pushThrough(
  t: TestContext,
  { nodes }: Cluster,
  fault: Fault,
): Promise<{ refused: number; lost: number }> {
  const traffic = await startTraffic(t, nodes)
  await during(500)
  const began = performance.now()
  await fault.begin()
  await during(fault.ms)
  const ended = performance.now()
  await fault.end()
  const back = performance.now()
  const one = await listener(nodes[0]!, 'plain')
  for (const node of nodes) {
    await reaches(node, 'traffic', 4 * nodes.length, RETURN_MS - (performance.now() - back))
    await until(
      'a new subscription counts',
      async () => (await ask(node, 'PUT', `/topics/after-${node.port}/connections/${one.id}`)).status === 204,
      RETURN_MS,
    )
    await reaches(node, `after-${node.port}`, 1)
  }
  await traffic.stop()
  const [before, meanwhile] = [traffic.localLatency(0, began), traffic.localLatency(began, ended)]
  assert.ok(meanwhile < LOCAL_MS + 3 * before, `${meanwhile} ms to local sockets, ${before} ms before`)
  const refused = await traffic.repeatFailed()
  const lost = await traffic.check({ isOrdered: back - began < BROKEN_MS && !fault.breaksLinks })
  leave(one)
  t.diagnostic(
    `${traffic.pushes.length} pushes, ${refused} refused, ${lost} publications lost, ${Math.round(before)} ms to local sockets before and ${Math.round(meanwhile)} ms meanwhile`,
  )
  return { refused, lost }
}

test('Redis stands still for 1 s: nothing is refused or lost', async (t) => {
  const cluster = await startCluster(t, 3)
  const { redis } = cluster
  const { lost } = await pushThrough(t, cluster, { begin: redis.freeze, end: redis.thaw, ms: 1000 })
  assert.equal(lost, 0)
})

test('Redis stands still for 1.5 s: publications of answers wait for it', async (t) => {
  const cluster = await startCluster(t, 2)
  const { redis } = cluster
  const { lost } = await pushThrough(t, cluster, { begin: redis.freeze, end: redis.thaw, ms: 1500 })
  assert.equal(lost, 0)
})

// LONG_SECONDS=20 makes it longer than a lease.
const LONG_MS = Number(process.env.LONG_SECONDS ?? 5) * 1000

test('Redis stands still for longer', { timeout: 110_000 }, async (t) => {
  const cluster = await startCluster(t, 3)
  const { redis } = cluster
  const { refused } = await pushThrough(t, cluster, { begin: redis.freeze, end: redis.thaw, ms: LONG_MS })
  assert.ok(refused > 0)
})

test('Redis is killed and comes back empty', { timeout: 110_000 }, async (t) => {
  const cluster = await startCluster(t, 3)
  const { redis } = cluster
  const { refused } = await pushThrough(t, cluster, {
    begin: () => redis.stop('SIGKILL'),
    end: redis.start,
    ms: Number(process.env.LONG_SECONDS ?? 3) * 1000,
  })
  assert.ok(refused > 0)
})

test('the connections of all nodes are killed again and again', async (t) => {
  const cluster = await startCluster(t, 3)
  const { redis } = cluster
  let isOver = false
  let kills: Promise<void>
  const { lost } = await pushThrough(t, cluster, {
    begin: () => {
      kills = (async () => {
        for (let i = 0; i < 3 && !isOver; i += 1) {
          await redis.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
          await during(700)
        }
      })()
    },
    end: async () => {
      isOver = true
      await kills
      await nodesInRedis(redis, 3)
    },
    ms: 2000,
  })
  assert.equal(lost, 0)
})

test('the way of one node to Redis swallows everything', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startSwallowingProxy(t, redis.port)
  const nodes = [
    await startNode(t, { REDIS_URL: proxy.url.replace('http:', 'redis:') }),
    await startNode(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}` }),
  ]
  await nodesInRedis(redis, 2)
  await pushThrough(
    t,
    { redis, nodes },
    {
      begin: proxy.swallow,
      end: () => nodesInRedis(redis, 2),
      ms: 1000,
      breaksLinks: true,
    },
  )
})

test('another Redis becomes the master', { timeout: 110_000 }, async (t) => {
  const master = await startRedis(t)
  const replica = await startReplica(t, master)
  const sentinel = await startSentinel(t, master, replica)
  const env = { REDIS_SENTINELS: `127.0.0.1:${sentinel.port}`, REDIS_MASTER: 'mymaster' }
  const nodes = [await startNode(t, env), await startNode(t, env)]
  await nodesInRedis(master, 2)
  await pushThrough(
    t,
    { redis: master, nodes },
    {
      begin: () => master.stop('SIGKILL'),
      end: () => nodesInRedis(replica, 2, FAILOVER_MS),
      ms: 500,
      breaksLinks: true,
    },
  )
})
