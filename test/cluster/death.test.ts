// A node that dies or stands still: its sockets' close events, and its return.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { startApp } from '../support/app.ts'
import { Client } from '../support/client.ts'
import { type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { ask, join, joinMany, type Member } from '../support/push-gateway.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

/**
 * How long it may take until a node that died is buried. Its lease lasts for 9 s and has to be seen gone for 3 s, by a node that
 * has had answers of Redis for 12 s without a gap. One that stood still for a second begins these anew.
 */
const BURIED_MS = 60_000

type Close = { id: string; connection: string; source: string; code: number; at: number }

type Cluster = {
  redis: Redis
  nodes: Gateway[]
  closes: Close[]
  /** While it is away, it refuses close events with 503, and counts them. */
  handler: { isAway: boolean; refused: number; onOpen?: (connectionId: string) => void }
}

/** Gateways of one cluster with one handler, which notes the close events. */
async function startCluster(t: TestContext, count: number): Promise<Cluster> {
  const redis = await startRedis(t)
  const closes: Close[] = []
  const handler: Cluster['handler'] = { isAway: false, refused: 0 }
  const folder = mkdtempSync(path.join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const socket = path.join(folder, 'handler.sock')
  await startApp(t, socket, {
    routes: (app) =>
      app.ws('/ws/in/:topic', {
        open(request, reply) {
          handler.onOpen?.(request.event.connectionId)
          reply.subscribe((request.params as { topic: string }).topic).frame(request.event.connectionId)
        },
        message: (request) => request.body,
        close(request, reply) {
          if (handler.isAway) {
            handler.refused++
            return reply.code(503).header('retry-after', '1').send()
          }
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
        expect: [KILLED],
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

/** Without those that came again, under the same id: whoever sent them was killed before it had the answer. */
function once(closes: Close[]): Close[] {
  return [...new Map(closes.map((close) => [close.id, close])).values()]
}

function checkCloses(closes: Close[], members: Member[]): void {
  assert.deepEqual(closes.map(({ connection }) => connection).sort(), idsOf(members))
  for (const { id, connection, source, code } of closes) {
    assert.equal(code, 1006)
    assert.equal(id, `${connection}/close`)
    assert.equal(source, `/framegate/${connection.slice(0, 4)}`)
  }
}

async function checkCounts(node: Gateway, sockets: number): Promise<void> {
  // A node hears that another one was buried a moment after the one that buries it.
  await until('a push is whole', async () => (await pushTo(node)).status === 200)
  assert.equal((await ask(node, 'GET', '/connections?limit=1000')).json.count, sockets)
  const push = await ask(node, 'POST', '/topics/news', { body: 'hello' })
  assert.equal(push.status, 200, push.body)
  assert.deepEqual(push.json, { delivered: sockets, dropped: 0 })
}

/** Opens so many sockets at each node. */
function joinAll({ nodes }: Cluster, count: number): Promise<Member[][]> {
  return Promise.all(nodes.map((node) => joinMany(node, 'news', count)))
}

suite('death', { concurrency: 2 }, () => {
  test('each socket of a node that is killed has one close event, and no other has one', async (t) => {
    const cluster = await startCluster(t, 3)
    const { nodes, closes } = cluster
    const members = await joinAll(cluster, 300)
    await nodes[2]!.kill()
    await until('the close events are there', () => closes.length >= 300, BURIED_MS)
    checkCloses(closes, members[2]!)
    for (const node of nodes.slice(0, 2)) await checkCounts(node, 600)
    assert.equal(closes.length, 300)
    const counted = async (name: string): Promise<number> => {
      const [one, other] = await Promise.all(nodes.slice(0, 2).map(samples))
      return one![name]! + other![name]!
    }
    await until('each is counted', async () => (await counted('close_events_of_dead_nodes_total')) === 300)
    assert.equal(await counted('nodes_buried_total'), 1)
    await until('each sees itself and the other', async () => (await counted('cluster_nodes')) === 4)
  })

  test('a node is killed while the handler has its first open events: each of their sockets has a close event', async (t) => {
    const { nodes, closes, handler } = await startCluster(t, 2)
    const opened: string[] = []
    let killed: Promise<void> | undefined
    handler.onOpen = (connectionId) => {
      opened.push(connectionId)
      killed ??= nodes[1]!.kill()
    }
    const clients = Array.from({ length: 20 }, () => new Client(`${nodes[1]!.ws}/ws/in/news`))
    await Promise.all(clients.map((client) => client.closed))
    await killed
    const isClosed = (id: string): boolean => closes.some(({ connection }) => connection === id)
    await until('the close events are there', () => opened.every(isClosed), BURIED_MS)
    assert.ok(opened.length > 0)
  })

  test('while the handler is away, the close events wait for it', async (t) => {
    const cluster = await startCluster(t, 2)
    const { nodes, closes, handler } = cluster
    const members = await joinAll(cluster, 30)
    handler.isAway = true
    await nodes[1]!.kill()
    await until('a close event was refused', () => handler.refused > 0, BURIED_MS)
    handler.isAway = false
    await until('the close events are there', () => closes.length >= 30, BURIED_MS)
    checkCloses(closes, members[1]!)
    await checkCounts(nodes[0]!, 30)
  })

  test('another node goes on when the one that cleans up is killed too', async (t) => {
    const cluster = await startCluster(t, 3)
    const { nodes, closes, handler } = cluster
    const members = await joinAll(cluster, 30)
    handler.isAway = true
    await nodes[2]!.kill()
    await until('a close event was refused', () => handler.refused > 0, BURIED_MS)
    const isCleaner = (node: Gateway): boolean => node.log().includes('has died')
    await until('one logs that it cleans up', () => nodes.some(isCleaner))
    const [cleaner, other] = isCleaner(nodes[0]!) ? [0, 1] : [1, 0]
    await nodes[cleaner]!.kill() // what it has in flight is refused too
    handler.isAway = false
    await until('the close events are there', () => once(closes).length >= 60, BURIED_MS)
    checkCloses(once(closes), [...members[cleaner]!, ...members[2]!])
    await checkCounts(nodes[other]!, 30)
  })

  test('a node that stood still is buried once, closes its sockets with 1012, and is a node again', async (t) => {
    const cluster = await startCluster(t, 2)
    const { nodes, closes } = cluster
    const [, still] = await joinAll(cluster, 20)
    signal(nodes[1]!, 'SIGSTOP')
    for (const { client } of still!.slice(0, 10)) client.socket.terminate()
    await until('the close events are there', () => closes.length >= 20, BURIED_MS)
    checkCloses(closes, still!)
    signal(nodes[1]!, 'SIGCONT')
    for (const { client } of still!.slice(10)) assert.equal((await client.closed).code, 1012)
    // A worker that had none of these sockets may hear of the new life later, and then closes what it has accepted meanwhile.
    let again = 0
    await until('5 sockets of its new life', async () => {
      const { id } = await join(nodes[1]!, 'news')
      if (id.slice(0, 4) !== still![0]!.id.slice(0, 4)) again++
      return again === 5
    })
    await until('it is a node again', async () => (await ask(nodes[0]!, 'GET', '/connections')).json.count === 25)
    await checkCounts(nodes[0]!, 25)
    const ids = new Set(idsOf(still!))
    assert.equal(closes.filter(({ connection }) => ids.has(connection)).length, 20)
  })

  test('a Redis that stood still for longer than a lease, or lost everything, buries nobody', async (t) => {
    const cluster = await startCluster(t, 2)
    const { redis, nodes, closes } = cluster
    const members = await joinAll(cluster, 20)
    redis.freeze()
    await new Promise((resolve) => setTimeout(resolve, 20_000)) // longer than every time that is involved
    redis.thaw()
    await until('the nodes are linked again', async () => (await pushTo(nodes[0]!)).status === 200)
    await checkCounts(nodes[1]!, 40)
    await redis.stop('SIGKILL')
    await redis.start()
    await until('the nodes are linked again', async () => (await pushTo(nodes[0]!)).status === 200)
    await checkCounts(nodes[0]!, 40)
    await new Promise((resolve) => setTimeout(resolve, 16_000)) // until a node could have been buried
    await checkCounts(nodes[0]!, 40)
    assert.deepEqual(closes, [])
    for (const { client } of members.flat()) client.socket.terminate()
    await until('their records are gone', async () => (await redis.ask('KEYS', 'framegate:records:*')).startsWith('*0'))
  })

  test('a gateway that starts again after its death sends its close events itself, or leaves them to the others', async (t) => {
    const cluster = await startCluster(t, 2)
    const { nodes, closes } = cluster
    const members = await joinAll(cluster, 20)
    await nodes[1]!.kill()
    await nodes[1]!.startAgain()
    await until('the close events are there', () => closes.length >= 20, BURIED_MS)
    await until('it is a node again', async () => (await pushTo(nodes[0]!)).status === 200, 20_000)
    checkCloses(closes, members[1]!)
  })

  test('the others send the close events that a node owes when it leaves', async (t) => {
    const cluster = await startCluster(t, 2)
    const { redis, nodes, closes, handler } = cluster
    const members = await joinAll(cluster, 10)
    handler.isAway = true
    await nodes[1]!.quit()
    assert.ok(handler.refused > 0)
    handler.isAway = false
    await until('the close events are there', () => once(closes).length >= 10, BURIED_MS)
    assert.deepEqual(
      once(closes)
        .map(({ connection }) => connection)
        .sort(),
      idsOf(members[1]!),
    )
    for (const { code } of closes) assert.equal(code, 1001)
    await until('nothing is left of it', async () => (await redis.ask('HLEN', 'framegate:graves')) === ':0\r\n')
    await checkCounts(nodes[0]!, 10)
  })
})
