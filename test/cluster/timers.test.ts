// Timers of gateways that work as one: once per period over all nodes, by the clock of Redis.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { startApp } from '../support/app.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { ask, join } from '../support/push-gateway.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { isOncePerSecond, type Tick, tickOf, watchClock } from '../support/timers.ts'
import { holderOf } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

type Cluster = { redis: Redis; nodes: Gateway[]; ticks: Tick[]; stood: () => number }

/** Three gateways of one cluster with one handler, which notes the events of a timer of one second. */
async function startCluster(t: TestContext): Promise<Cluster> {
  const redis = await startRedis(t)
  const ticks: Tick[] = []
  const folder = mkdtempSync(path.join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const socket = path.join(folder, 'handler.sock')
  await startApp(t, socket, {
    routes: (app) => {
      app.ws('/ws/timers/tick', {
        timer(request, reply) {
          ticks.push(tickOf(request))
          reply.publish('ticks', request.event.id)
        },
      })
      app.ws('/ws/in/ticks', {
        open: (request, reply) => void reply.subscribe('ticks').frame(request.event.connectionId),
      })
    },
  })
  const nodes = await Promise.all(
    Array.from({ length: 3 }, (_, i) =>
      startGateway(t, {
        handler: false,
        expect: [/./],
        env: {
          REDIS_URL: `redis://127.0.0.1:${redis.port}`,
          CLUSTER_NAME: 'here',
          NODE_NAME: `node${i}`,
          HANDLER_URL: `http://unix:${socket}`,
          TIMERS: '1s /ws/timers/tick',
        },
      }),
    ),
  )
  for (const node of nodes) {
    await until('it is linked', async () => (await ask(node, 'POST', '/topics/nobody', { body: 'x' })).status === 200)
  }
  ticks.length = 0
  return { redis, nodes, ticks, stood: watchClock(t) }
}

function signal(node: Gateway, name: NodeJS.Signals): void {
  for (const pid of [node.pid, ...node.workers()]) process.kill(pid, name)
}

function more(ticks: Tick[], count: number): Promise<true> {
  const wanted = ticks.length + count
  return until(`${count} more`, () => ticks.length >= wanted, 20_000)
}

test('three nodes: one event a period, through a reload, a killed worker and a killed node', async (t) => {
  const { redis, nodes, ticks, stood } = await startCluster(t)
  const members = await Promise.all(nodes.map((node) => join(node, 'ticks')))
  await more(ticks, 2)
  assert.equal(ticks[0]!.headers['ce-source'], '/framegate/here/timers')
  const { id } = ticks.at(-1)! // the first ones may have come before all had joined
  for (const { client } of members)
    await until('it gets what the answer publishes', async () => (await client.next()) === id)
  const keys = await redis.ask('KEYS', 'here:timer:/ws/timers/tick:*')
  assert.ok(keys.includes(`here:timer:/ws/timers/tick:${ticks.at(-1)!.due}`), keys)

  await nodes[0]!.reload()
  await more(ticks, 2)
  process.kill(await holderOf(nodes[1]!, redis), 'SIGKILL')
  await more(ticks, 2)
  signal(nodes[2]!, 'SIGKILL')
  await more(ticks, 3)
  signal(nodes[1]!, 'SIGSTOP')
  await more(ticks, 2)
  signal(nodes[1]!, 'SIGCONT')
  await more(ticks, 2)
  isOncePerSecond(ticks, stood())
})

test('while Redis is away no timer comes, and none is made up', async (t) => {
  const { redis, ticks, stood } = await startCluster(t)
  await more(ticks, 2)
  isOncePerSecond(ticks, stood())
  redis.freeze()
  const last = ticks.at(-1)!
  await until('it is away for 4 s', () => Date.now() > last.at + 4000)
  const meanwhile = ticks.filter(({ due, at }) => due > last.due + 1000 && at < last.at + 4000)
  assert.deepEqual(meanwhile, [])
  redis.thaw()
  const back = Date.now()
  await until('they come again', () => ticks.at(-1)!.due > back, 20_000)
  await more(ticks, 2)
  const after = ticks.filter(({ at }) => at > back)
  assert.ok(
    after.every(({ due }) => due > back - 1500),
    JSON.stringify(after),
  )
  assert.equal(new Set(ticks.map(({ id }) => id)).size, ticks.length, 'each once')
})
