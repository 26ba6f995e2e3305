// The worker that holds a node's link to Redis changes: it is killed, replaced by a reload, or its node leaves.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { ask, leave } from '../push/support.ts'
import { configure, type Gateway, KILLED } from '../support/gateway.ts'
import type { Redis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { listener, nodesInRedis, reaches, startCluster, startNode, urlOf } from './support.ts'
import { during, startTraffic } from './traffic.ts'

/** The inodes of this process's connections to a port (proc(5), /proc/net/tcp). */
function connectionsTo(port: number): Set<string> {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1)
  return new Set(
    lines
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[2]!.endsWith(remote) && fields[3] === '01')
      .map((fields) => `socket:[${fields[9]}]`),
  )
}

/** What the open files of a process are; nothing when it has ended meanwhile. */
function filesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`)
      } catch {
        return '' // closed meanwhile
      }
    })
  } catch {
    return []
  }
}

/** The worker that holds the link. */
function holderOf(gateway: Gateway, redis: Redis): number | undefined {
  const inodes = connectionsTo(redis.port)
  return gateway.workers().find((pid) => filesOf(pid).some((file) => inodes.has(file)))
}

test('the worker that holds the link is killed in the middle of pushing', async (t) => {
  const { redis, nodes } = await startCluster(t, 2, { expect: [KILLED, /worker process \d+ exited/] })
  const traffic = await startTraffic(t, nodes)
  for (const node of nodes) {
    await during(500)
    const holder = await until('there is a holder', () => holderOf(node, redis))
    process.kill(holder, 'SIGKILL')
    await until('another one holds the link', () => (holderOf(node, redis) ?? holder) !== holder, 3000)
    await nodesInRedis(redis, 2)
  }
  await during(500)
  await traffic.stop()
  const statuses = traffic.pushes.map(({ answer }) => answer.status)
  t.diagnostic(`${statuses.length} pushes, of them not 200: ${statuses.filter((status) => status !== 200)}`)
  assert.ok(
    statuses.every((status) => [0, 200, 503, 504].includes(status)),
    `${statuses}`,
  )
  assert.ok(statuses.filter((status) => status !== 200).length < 12, `${statuses}`)
  const { answer } = traffic.pushes.at(-1)!
  assert.equal(answer.status, 200, answer.body)
  await traffic.check({ hasKilled: true })
})

test('reloads in the middle of pushing: nothing is refused, lost, doubled or out of order', async (t) => {
  const { redis, nodes } = await startCluster(t, 2)
  const traffic = await startTraffic(t, nodes)
  for (const node of [nodes[0]!, nodes[1]!, nodes[0]!]) {
    await during(300)
    const before = holderOf(node, redis)
    await node.reload()
    await until('a new worker holds the link', () => {
      const after = holderOf(node, redis)
      return after !== undefined && after !== before
    })
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
    const began = performance.now()
    const { status, json } = await ask(node, 'POST', '/topics/stop', { body: 'x' })
    assert.deepEqual([status, json], [200, { delivered: 2, dropped: 0 }])
    assert.ok(performance.now() - began < 300)
    assert.equal((await ask(node, 'POST', `/connections/${all[0]!.id}`, { body: 'x' })).status, 410)
  }
  await nodesInRedis(redis, 2)
  leave(...all)
})
