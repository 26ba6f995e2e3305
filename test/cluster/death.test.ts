// A node that dies or stands still: its sockets' close events, and its return.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { ask, joinMany, type Member } from '../push/support.ts'
import { startApp } from '../support/app.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

type Close = { id: string; connection: string; source: string; code: number; at: number }

type Cluster = { redis: Redis; nodes: Gateway[]; closes: Close[]; handler: { isAway: boolean } }

/** Gateways of one cluster with one handler, which notes the close events. */
async function startCluster(t: TestContext, count: number): Promise<Cluster> {
  const redis = await startRedis(t)
  const closes: Close[] = []
  const handler = { isAway: false }
  const folder = mkdtempSync(path.join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const socket = path.join(folder, 'handler.sock')
  await startApp(t, socket, {
    routes: (app) =>
      app.ws('/ws/in/:topic', {
        open(request, reply) {
          reply.subscribe((request.params as { topic: string }).topic).frame(request.event.connectionId)
        },
        message: (request) => request.body,
        close(request, reply) {
          if (handler.isAway) return reply.code(503).header('retry-after', '1').send()
          const { id, connectionId, closeCode } = request.event
          const source = String(request.headers['ce-source'])
          closes.push({ id, connection: connectionId, source, code: closeCode!, at: performance.now() })
        },
      }),
  })
  const nodes = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startGateway(t, {
        handler: false,
        expect: [/./],
        env: {
          MAX_CONNECTIONS_PER_IP: 'off',
          REDIS_URL: `unix:${redis.path}`,
          NODE_NAME: `node${i}`,
          HANDLER_URL: `http://unix:${socket}`,
        },
      }),
    ),
  )
  for (const node of nodes) await until('it is linked', async () => (await pushTo(node)).status === 200)
  return { redis, nodes, closes, handler }
}

function pushTo(node: Gateway) {
  return ask(node, 'POST', '/topics/nobody', { body: 'x' })
}

function signal(node: Gateway, name: NodeJS.Signals): void {
  for (const pid of [node.pid, ...node.workers()]) process.kill(pid, name)
}

function idsOf(members: Member[]): string[] {
  return members.map(({ id }) => id).sort()
}

test('a node that is killed: each of its sockets has one close event, and no other has one', async (t) => {
  const { nodes, closes } = await startCluster(t, 3)
  const members = await Promise.all(nodes.map((node) => joinMany(node, 'news', 100)))
  signal(nodes[2]!, 'SIGKILL')
  await until('the close events are there', () => closes.length >= 100, 30_000)
  assert.deepEqual(closes.map(({ connection }) => connection).sort(), idsOf(members[2]!))
  for (const close of closes) {
    assert.equal(close.code, 1006)
    assert.equal(close.id, `${close.connection}/close`)
    assert.equal(close.source, `/framegate/${close.connection.slice(0, 4)}`)
  }
  const list = await ask(nodes[0]!, 'GET', '/connections?limit=1000')
  assert.equal(list.json.count, 200)
  const push = await ask(nodes[1]!, 'POST', '/topics/news', { body: 'hello' })
  assert.equal(push.status, 200)
  assert.deepEqual(push.json, { delivered: 200, dropped: 0 })
  assert.equal(closes.length, 100)
})

test('a node that stood still is buried once, closes its sockets with 1012, and is a node again', async (t) => {
  const { nodes, closes } = await startCluster(t, 2)
  const [left, still] = await Promise.all([joinMany(nodes[0]!, 'news', 20), joinMany(nodes[1]!, 'news', 20)])
  signal(nodes[1]!, 'SIGSTOP')
  for (const { client } of still.slice(0, 10)) client.socket.terminate()
  await until('the close events are there', () => closes.length >= 20, 30_000)
  assert.deepEqual(closes.map(({ connection }) => connection).sort(), idsOf(still))
  signal(nodes[1]!, 'SIGCONT')
  const ends = await Promise.all(still.slice(10).map(({ client }) => client.closed))
  for (const { code } of ends) assert.equal(code, 1012)
  const again = await joinMany(nodes[1]!, 'news', 5)
  assert.notEqual(again[0]!.id.slice(0, 4), still[0]!.id.slice(0, 4))
  await until('it is a node again', async () => {
    const { status, json } = await ask(nodes[0]!, 'POST', '/topics/news', { body: 'hello' })
    return status === 200 && json.delivered === 25
  })
  assert.equal(closes.length, 20)
  assert.equal(left.length, 20)
})
