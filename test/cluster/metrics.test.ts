// The metrics of the cluster, in scenes whose numbers are known.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { KILLED } from '../support/gateway.ts'
import { type Samples, samples } from '../support/metrics.ts'
import { ask, join, leave, pushGateway } from '../support/push-gateway.ts'
import { areUp, holderOf, otherHolder, startTwoNodes, untilNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

const COUNTERS = [
  'redis_reconnects_total',
  'redis_messages_total{direction="in"}',
  'redis_messages_total{direction="out"}',
  'redis_bytes_total{direction="in"}',
  'redis_bytes_total{direction="out"}',
]

test('without a cluster its gauges are missing, and its counters are 0', async (t) => {
  const gateway = await pushGateway(t)
  await ask(gateway, 'POST', '/topics/news', { body: 'x' })
  const now = await samples(gateway)
  const names = Object.keys(now).filter((name) => /^(redis|cluster)_/.test(name))
  assert.deepEqual(
    names.filter((name) => !/_(total|bucket|sum|count)\b/.test(name)),
    [],
  )
  assert.ok(names.length >= COUNTERS.length)
  for (const name of names) assert.equal(now[name], 0, name)
})

test('two nodes, a push over both, Redis away, and a killed holder', async (t) => {
  const { redis, north, south } = await startTwoNodes(t, {
    env: () => ({ CLUSTER_BUFFER: '0' }),
    expect: [KILLED],
    routes: (app) => app.ws('/ws/publisher', { message: (_request, reply) => void reply.publish('news', 'published') }),
  })
  const publisher = await open(`${north.ws}/ws/publisher`)
  const members = [await join(north, 'news'), await join(south, 'news')]
  const began = performance.now()
  for (let i = 0; i < 3; i++) assert.equal((await ask(north, 'POST', '/topics/news', { body: 'x' })).json.delivered, 2)
  const seconds = (performance.now() - began) / 1000
  const before = await until('nothing is under way', async () => {
    const now = await samples(north)
    return !now.cluster_requests_in_flight && !now.redis_waiting_bytes && now
  })
  assert.equal(before.redis_up, 1)
  assert.equal(before.cluster_nodes, 2)
  assert.equal(before.cluster_push_duration_seconds_count, 3)
  assert.ok(before.cluster_push_duration_seconds_sum! > 0 && before.cluster_push_duration_seconds_sum! < seconds)
  assert.ok(before.cluster_lease_age_seconds! >= 0 && before.cluster_lease_age_seconds! < 6)
  assert.ok(before.redis_subscriptions! >= 3, 'the topic, the node, and all nodes')
  assert.deepEqual(
    [before.cluster_requests_in_flight, before.cluster_kept_bytes, before.redis_waiting_bytes],
    [0, 0, 0],
  )
  assert.equal(before.redis_reconnects_total, 0)
  for (const name of COUNTERS.slice(1)) assert.ok(before[name]! > 0, name)
  assert.equal((await samples(south)).cluster_push_duration_seconds_count, 0, 'it did not begin them')

  await redis.stop()
  await until('the link is down', async () => (await samples(north)).redis_up === 0)
  assert.equal((await ask(north, 'POST', '/topics/news', { body: 'x' })).status, 503)
  publisher.socket.send('now')
  await until('there is no room to keep it', async () => (await samples(north)).publications_lost_total === 1)
  await redis.start()
  await untilNodes(north, 'both are back', areUp(2))
  const back = await samples(north)
  assert.equal(back.redis_up, 1)
  assert.ok(back.redis_reconnects_total! >= 1)

  const holder = await holderOf(north, redis)
  process.kill(holder, 'SIGKILL')
  await otherHolder(north, redis, holder)
  const later = await until('the next one has counted', async () => {
    const now = await samples(north)
    const hasCounted = COUNTERS.slice(1).every((name) => now[name]! > back[name]!)
    return now.redis_up === 1 && now.workers_killed_total === 1 && hasCounted && now
  })
  rises(back, later)
  assert.equal(later.redis_reconnects_total, back.redis_reconnects_total, 'the first link of a worker is no reconnect')
  leave(...members)
  publisher.socket.terminate()
})

function rises(before: Samples, after: Samples): void {
  for (const name of COUNTERS.slice(1)) assert.ok(after[name]! > before[name]!, name)
}
