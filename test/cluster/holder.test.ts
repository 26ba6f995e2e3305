// The worker that holds a node's link to Redis changes: it is killed, replaced by a reload, or its node leaves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configure, type Gateway, KILLED } from '../support/gateway.ts'
import { ask, leave } from '../support/push-gateway.ts'
import { holderOf, otherHolder } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'
import { listener, nodesInRedis, reaches, startCluster, startNode, urlOf } from './support.ts'
import { during, startTraffic } from './traffic.ts'

/** Resolves when a push through this node reaches all nodes. */
async function isWhole(node: Gateway): Promise<void> {
  await until('a push is whole', async () => (await ask(node, 'POST', '/topics/nobody', { body: 'x' })).status === 200)
}

test('the worker that holds the link is killed in the middle of pushing', async (t) => {
  const { redis, nodes } = await startCluster(t, 2, { expect: [KILLED, /worker process \d+ exited/] })
  const traffic = await startTraffic(t, nodes)
  const gaps: Array<{ from: number; to: number }> = []
  for (const node of nodes) {
    await during(500)
    const holder = await holderOf(node, redis)
    const from = performance.now()
    process.kill(holder, 'SIGKILL')
    await otherHolder(node, redis, holder)
    await nodesInRedis(redis, 2)
    for (const each of nodes) await isWhole(each)
    gaps.push({ from, to: performance.now() })
  }
  await during(500)
  await traffic.stop()
  const failed = traffic.pushes.filter(({ answer }) => answer.status !== 200)
  const statuses = failed.map(({ answer }) => answer.status)
  t.diagnostic(`${traffic.pushes.length} pushes, of them not 200: ${statuses}`)
  assert.ok(
    statuses.every((status) => [0, 503, 504].includes(status)),
    `${statuses}`,
  )
  for (const { sentAt, answeredAt, answer } of failed)
    assert.ok(
      gaps.some(({ from, to }) => answeredAt >= from && sentAt <= to),
      `${answer.status} while each node had a link`,
    )
  const { answer } = traffic.pushes.at(-1)!
  assert.equal(answer.status, 200, answer.body)
  await traffic.check({ hasKilled: true })
})

test('reloads in the middle of pushing: nothing is refused, lost, doubled or out of order', async (t) => {
  const { redis, nodes } = await startCluster(t, 2)
  const traffic = await startTraffic(t, nodes)
  for (const node of [nodes[0]!, nodes[1]!, nodes[0]!]) {
    await during(300)
    const before = await holderOf(node, redis)
    await node.reload()
    await otherHolder(node, redis, before)
    await during(700)
    await nodesInRedis(redis, 2)
  }
  await traffic.stop()
  assert.equal(await traffic.repeatFailed(), 0)
  assert.equal(await traffic.check({ isOrdered: true }), 0)
})

test('reloads remove REDIS_URL, and add it again', async (t) => {
  const { redis, nodes } = await startCluster(t, 2)
  const [a, b] = nodes as [Gateway, Gateway]
  const [here, there] = [await listener(a, 'in/both'), await listener(b, 'in/both')]
  await reaches(a, 'both', 2)
  const reload = async (env: Record<string, string>): Promise<void> => {
    configure(a.run, { PORT: String(a.port), WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off', ...env })
    await a.reload()
  }
  await reload({ REDIS_URL: '' })
  await nodesInRedis(redis, 1)
  // Its sockets live on, so no other node may send their close events.
  assert.equal(await redis.ask('EXISTS', 'framegate:graves', `framegate:records:${here.id.slice(0, 4)}`), ':0\r\n')
  await reaches(a, 'both', 1)
  await reaches(b, 'both', 1)
  const later = await listener(a, 'in/later')
  await reload({ REDIS_URL: urlOf(redis) })
  await nodesInRedis(redis, 2)
  for (const node of nodes) {
    await reaches(node, 'both', 2)
    await reaches(node, 'later', 1)
  }
  const last = await listener(a, 'in/last')
  assert.deepEqual((await ask(b, 'POST', '/topics/last', { body: 'x' })).json, { delivered: 1, dropped: 0 })
  leave(here, there, later, last)
})

test('a gateway without REDIS_URL joins a cluster by a reload, with the topics of its old workers', async (t) => {
  const { redis, nodes } = await startCluster(t, 1)
  const alone = await startNode(t, {})
  const old = await listener(alone, 'in/old?user=olga')
  configure(alone.run, {
    PORT: String(alone.port),
    WORKERS: '2',
    MAX_CONNECTIONS_PER_IP: 'off',
    REDIS_URL: urlOf(redis),
  })
  await alone.reload()
  await nodesInRedis(redis, 2)
  await reaches(nodes[0]!, 'old', 1)
  assert.deepEqual((await ask(nodes[0]!, 'POST', '/users/olga', { body: 'x' })).json, { delivered: 1, dropped: 0 })
  leave(old)
})

test('a node that stops leaves: pushes through the others are answered 200 immediately', async (t) => {
  const { redis, nodes } = await startCluster(t, 3)
  const [a, b, c] = nodes as [Gateway, Gateway, Gateway]
  const all = [await listener(a, 'in/stop'), await listener(b, 'in/stop'), await listener(c, 'in/stop')]
  await reaches(b, 'stop', 3)
  await a.quit()
  for (const node of [b, c]) {
    const times: number[] = [] // one of them may be long because the machine stood still
    for (let i = 0; i < 3; i += 1) {
      const began = performance.now()
      const { status, json } = await ask(node, 'POST', '/topics/stop', { body: 'x' })
      assert.deepEqual([status, json], [200, { delivered: 2, dropped: 0 }])
      times.push(performance.now() - began)
    }
    assert.ok(Math.min(...times) < 300, `${times}`) // one that waits for a node takes 500 ms and more
    assert.equal((await ask(node, 'POST', `/connections/${all[0]!.id}`, { body: 'x' })).status, 410)
  }
  await nodesInRedis(redis, 2)
  leave(...all)
})
