// Redis is cut off, killed or replaced while kept topics are published to.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyRoutes, kept, publish, take } from '../push/history.ts'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { KILLED } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { ask } from '../support/push-gateway.ts'
import { FAILOVER_MS, startRedis, startReplica, startSentinel } from '../support/redis.ts'
import { holderOf } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'
import { type Cluster, nodesInRedis, startCluster, startNode } from './support.ts'
import { during } from './traffic.ts'

const ENV = { HISTORY: 'chat:=10000/10m', WORKERS: '2' }

/** Publishes numbered frames through a node, each again until it is answered 200. */
function publisher(gateway: Gateway, name: string) {
  let isOver = false
  let refused = 0
  const run = (async () => {
    let i = 0
    for (; !isOver; i += 1) {
      const frame = { body: `${name} ${i}`, headers: { 'idempotency-key': `${name}-${i}` } }
      const ask200 = async () => (await ask(gateway, 'POST', '/topics/chat:1', frame).catch(() => null))?.status === 200
      while (!(await ask200())) {
        refused += 1
        await during(20)
      }
    }
    return i
  })()
  return {
    refusals: () => refused,
    stop: async () => {
      isOver = true
      return { count: await run, refused }
    },
  }
}

type Watcher = { client: Client; frames: string[] }

async function watcher(gateway: Gateway): Promise<Watcher> {
  const client = await open(`${gateway.ws}/ws/from/chat:1`)
  assert.equal(await client.next(), 'hello')
  const frames: string[] = []
  client.socket.on('message', (data) => frames.push(data.toString()))
  return { client, frames }
}

/** Every watcher has all frames of each publisher, once and in their order. */
async function publishThrough(
  cluster: Cluster,
  fault: (refusals: () => number) => Promise<void>,
  watched = cluster.nodes,
) {
  const watchers = await Promise.all(watched.flatMap((node) => [watcher(node), watcher(node), watcher(node)]))
  const publishers = cluster.nodes.map((node, i) => publisher(node, `p${i}`))
  await during(300)
  await fault(() => publishers.reduce((sum, { refusals }) => sum + refusals(), 0))
  await during(300)
  const results = await Promise.all(publishers.map(({ stop }) => stop()))
  const expected = results.map(({ count }, i) => Array.from({ length: count }, (_, n) => `p${i} ${n}`))
  for (const { client, frames } of watchers) {
    for (const [i, own] of expected.entries()) {
      const mine = () => frames.filter((frame) => frame.startsWith(`p${i} `))
      await until('all frames have come', () => mine().length >= own.length)
      assert.deepEqual(mine(), own)
    }
    client.socket.terminate()
  }
  return { watchers, refused: results.reduce((sum, { refused }) => sum + refused, 0), total: expected.flat().length }
}

test('links that are cut lose and double nothing, and every socket has the same order', async (t) => {
  const cluster = await startCluster(t, 2, { env: ENV, routes: historyRoutes })
  const { redis, nodes } = cluster
  const start = (await kept(nodes[0]!, 'chat:1')).position
  const { watchers, total, refused } = await publishThrough(cluster, async () => {
    for (let i = 0; i < 4; i += 1) {
      await redis.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await during(400)
    }
    await nodesInRedis(redis, 2)
  })
  t.diagnostic(`${total} frames, ${refused} refusals`)
  await assertOneOrder(nodes[1]!, start, watchers)
})

/** All watchers have what is kept, in its order. */
async function assertOneOrder(gateway: Gateway, start: string, watchers: Watcher[]): Promise<void> {
  const { messages } = await kept(gateway, 'chat:1', `?after=${start}`)
  for (const { frames } of watchers)
    assert.deepEqual(
      frames,
      messages.map(({ text }) => text),
    )
}

test('the worker that holds the link is killed', async (t) => {
  const expect = [KILLED]
  const cluster = await startCluster(t, 2, { env: ENV, routes: historyRoutes, expect })
  const { redis, nodes } = cluster
  const start = (await kept(nodes[0]!, 'chat:1')).position
  const kill = async () => {
    process.kill(await holderOf(nodes[0]!, redis), 'SIGKILL')
    await during(500)
    await nodesInRedis(redis, 2)
  }
  const { watchers, total, refused } = await publishThrough(cluster, kill, [nodes[1]!])
  t.diagnostic(`${total} frames, ${refused} refusals`)
  await assertOneOrder(nodes[1]!, start, watchers)
})

test('the link changes hands at a reload', async (t) => {
  const cluster = await startCluster(t, 2, { env: ENV, routes: historyRoutes })
  const start = (await kept(cluster.nodes[0]!, 'chat:1')).position
  const { watchers, total, refused } = await publishThrough(cluster, async () => {
    for (const node of cluster.nodes) {
      await node.reload()
      await during(500)
    }
  })
  t.diagnostic(`${total} frames, ${refused} refusals`)
  await assertOneOrder(cluster.nodes[1]!, start, watchers)
})

test('Redis without memory: a push is refused, and goes on when there is room', async (t) => {
  const { redis, nodes } = await startCluster(t, 1, { env: { ...ENV, CLUSTER_WAIT: '0.5' }, routes: historyRoutes })
  // A node whose lease was refused too tries again after 2 s.
  const published = (body: string) =>
    until(`"${body}" is stored`, async () => {
      const { status, json } = await ask(nodes[0]!, 'POST', '/topics/chat:1', {
        body,
        headers: { 'idempotency-key': body },
      })
      return status === 200 && json
    })
  const { position } = await published('a')
  await redis.ask('CONFIG', 'SET', 'maxmemory', '1')
  assert.equal((await ask(nodes[0]!, 'POST', '/topics/chat:1', { body: 'full' })).status, 503)
  await until('it is logged', () => /Redis refuses what HISTORY needs \(OOM /.test(nodes[0]!.log()))
  await redis.ask('CONFIG', 'SET', 'maxmemory', '0')
  await published('b')
  assert.deepEqual(
    (await kept(nodes[0]!, 'chat:1', `?after=${position}`)).messages.map(({ text }) => text),
    ['b'],
  )
})

test('Redis is killed while frames are published and comes back empty: a new epoch, and nothing is doubled', async (t) => {
  const cluster = await startCluster(t, 2, { env: ENV, routes: historyRoutes })
  const { redis, nodes } = cluster
  let position = ''
  const { refused, total } = await publishThrough(cluster, async (refusals) => {
    position = (await kept(nodes[0]!, 'chat:1', '?last=1')).position
    await redis.stop('SIGKILL')
    await until('a list is refused', async () => (await kept(nodes[0]!, 'chat:1')).status === 503)
    await until('a push is refused', () => refusals() > 0)
    const late = await open(`${nodes[1]!.ws}/ws/from/chat:1?last=5`)
    assert.equal(await late.next(), 'hello')
    const { statusCode, message } = await late.json()
    assert.deepEqual([statusCode, message], [503, 'what is kept cannot be read now: chat:1'])
    await redis.start()
    await nodesInRedis(redis, 2)
    await until('frames come again', async () => /^[pP]/.test(String(await late.next())))
    late.socket.terminate()
  })
  t.diagnostic(`${total} frames, ${refused} refusals`)
  assert.ok(refused > 0)
  for (const node of nodes)
    await until('it is logged', () => /this is another Redis than before, or it was started again/.test(node.log()))
  for (const node of nodes) assert.equal((await kept(node, 'chat:1', `?after=${position}`)).status, 410)
  const client = await open(`${nodes[1]!.ws}/ws/from/chat:1?after=${position}`)
  assert.equal(await client.next(), 'hello')
  assert.equal((await client.json()).statusCode, 410)
  await publish(nodes[0]!, 'chat:1', 'new')
  assert.deepEqual(await take(client, 1), ['new'])
  client.socket.terminate()
})

test('another Redis that has the frames: a new epoch, offsets go on, and the last frames are still there', async (t) => {
  const { redis, nodes } = await startCluster(t, 2, { env: ENV, routes: historyRoutes })
  const reader = await open(`${nodes[1]!.ws}/ws/from/chat:1`)
  assert.equal(await reader.next(), 'hello')
  for (const body of ['a', 'b']) await publish(nodes[0]!, 'chat:1', body)
  const { position } = await kept(nodes[0]!, 'chat:1')
  await redis.ask('HSET', 'framegate:facts:chat:1', 'run', 'another')
  const { position: next } = await publish(nodes[1]!, 'chat:1', 'c')
  assert.notEqual(next.split('.')[0], position.split('.')[0])
  assert.equal(next.split('.')[1], '3')
  assert.equal((await kept(nodes[0]!, 'chat:1', `?after=${position}`)).status, 410)
  assert.equal((await kept(nodes[0]!, 'chat:1', '?last=9')).messages.length, 3)
  assert.deepEqual(await take(reader, 3), ['a', 'b', 'c'])
  reader.socket.terminate()
})

test('publications of answers wait for Redis, and are counted when they are lost', async (t) => {
  const { redis, nodes } = await startCluster(t, 2, { env: ENV, routes: historyRoutes })
  const reader = await open(`${nodes[0]!.ws}/ws/from/chat:1`)
  assert.equal(await reader.next(), 'hello')
  const writer = await open(`${nodes[0]!.ws}/ws/plain`)
  await writer.next()
  redis.freeze()
  writer.socket.send('publish chat:1 late')
  await during(500)
  redis.thaw()
  assert.deepEqual(await take(reader, 1), ['late'])
  const lost = async () => (await samples(nodes[0]!)).publications_lost_total ?? 0
  const before = await lost()
  await redis.stop('SIGKILL')
  writer.socket.send('publish chat:1 lost')
  await until('it is counted', async () => (await lost()) > before, 30_000) // it is kept for 10 s
  for (const client of [reader, writer]) client.socket.terminate()
})

test('a replica becomes the master: what it has is still there, and nothing is doubled', {
  timeout: 110_000,
}, async (t) => {
  const master = await startRedis(t)
  const replica = await startReplica(t, master)
  const sentinel = await startSentinel(t, master, replica)
  const env = { ...ENV, REDIS_SENTINELS: `127.0.0.1:${sentinel.port}`, REDIS_MASTER: 'mymaster' }
  const nodes = [await startNode(t, env, { routes: historyRoutes }), await startNode(t, env, { routes: historyRoutes })]
  await nodesInRedis(master, 2)
  let position = ''
  const { refused, total, watchers } = await publishThrough({ redis: master, nodes }, async () => {
    const last = await until('there are frames', async () => {
      const now = await kept(nodes[0]!, 'chat:1', '?last=2')
      return now.messages.length === 2 && now
    })
    position = last.position
    await until('the replica has them', async () => {
      const top = await replica.ask('HGET', 'framegate:facts:chat:1', 'top')
      return Number(top.split('\r\n')[1]) >= Number.parseInt(position.split('.')[1]!, 16)
    })
    await master.stop('SIGKILL')
    await nodesInRedis(replica, 2, FAILOVER_MS)
    await during(500)
  })
  t.diagnostic(`${total} frames, ${refused} refusals`)
  assert.equal((await kept(nodes[0]!, 'chat:1', `?after=${position}`)).status, 410)
  const { messages } = await kept(nodes[1]!, 'chat:1', '?last=10000')
  const before = messages.findIndex(({ position: own }) => own.split('.')[1] === position.split('.')[1])
  assert.ok(before > 0, 'frames from before are kept')
  assert.equal(watchers[0]!.frames.at(-1), messages.at(-1)!.text)
})
