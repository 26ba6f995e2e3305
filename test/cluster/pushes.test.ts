// Pushes over three nodes: each frame once at each socket that it is for, each publisher's in order, and true counts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, leave } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { type Listener, listener, listeners, startCluster, startNode, urlOf } from './support.ts'

const TOPICS = ['red', 'green', 'blue']

type Group = { name: string; sockets: Listener[] }

/** What a push of one kind must reach. */
type Kind = { path: (group: Group) => string; group: Group }

/** The frames of one publisher, of those that a socket got. */
function from(received: string[], publisher: string): string[] {
  return received.filter((frame) => frame.startsWith(`${publisher} `))
}

test('2,000 pushes of every kind from every node', { timeout: 120_000 }, async (t) => {
  const { nodes } = await startCluster(t, 3)
  const groups: Group[] = []
  const add = async (name: string, path: string, count: number): Promise<void> => {
    const sockets: Listener[] = []
    for (const node of nodes) sockets.push(...(await listeners(node, path, count)))
    groups.push({ name, sockets })
  }
  for (const topic of TOPICS) await add(topic, `in/${topic}`, 60)
  await add('ann', 'plain?user=ann', 40)
  await add('bob', 'plain?user=bob', 40)
  await add('none', 'plain', 40)
  const all = groups.flatMap((group) => group.sockets)
  assert.equal(all.length, 900)
  const kinds: Kind[] = [
    ...TOPICS.map((topic, i) => ({ path: () => `/topics/${topic}`, group: groups[i]! })),
    { path: () => '/users/ann', group: groups[3]! },
    { path: () => '/users/bob', group: groups[4]! },
    { path: () => '/broadcast', group: { name: 'all', sockets: all } },
    ...all
      .filter((_, i) => i % 90 === 0)
      .map((one) => ({ path: () => `/connections/${one.id}`, group: { name: one.id, sockets: [one] } })),
  ]
  const expected = new Map<Listener, string[]>(all.map((socket) => [socket, []]))
  let arrivals = 0
  const publish = async (publisher: string, node: Gateway, count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const kind = kinds[i % 40 === 0 ? 5 : (i * 7) % kinds.length]!
      if (kind.group.name === 'all' && i % 40 !== 0) continue
      const frame = `${publisher} ${i}`
      const answer = await ask(node, 'POST', kind.path(kind.group), { body: frame })
      assert.equal(answer.status, 200, answer.body)
      assert.deepEqual(answer.json, { delivered: kind.group.sockets.length, dropped: 0 })
      for (const socket of kind.group.sockets) expected.get(socket)!.push(frame)
      arrivals += kind.group.sockets.length
    }
  }
  // Publications of answers: one socket of each node asks for them.
  const publishFromAnswers = (publisher: string, { client }: Listener, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      const group = groups[i % TOPICS.length]!
      client.socket.send(`publish ${group.name} ${publisher} ${i}`)
      for (const socket of group.sockets) expected.get(socket)!.push(`${publisher} ${i}`)
      arrivals += group.sockets.length
    }
  }
  const publishers: Promise<void>[] = []
  nodes.forEach((node, i) => {
    publishers.push(publish(`p${i}a`, node, 270), publish(`p${i}b`, node, 270))
    publishFromAnswers(`p${i}c`, groups[5]!.sockets[i * 40]!, 150)
  })
  await Promise.all(publishers)
  const count = (): number => all.reduce((sum, { received }) => sum + received.length, 0)
  await until(`${arrivals} frames arrive`, () => count() >= arrivals, 20_000)
  for (const [socket, frames] of expected) {
    assert.equal(socket.received.length, frames.length)
    for (const publisher of new Set(frames.map((frame) => frame.split(' ')[0]!)))
      assert.deepEqual(from(socket.received, publisher), from(frames, publisher))
  }
  leave(...all)
})

test('lists have each connection once, page by page, from any node, while others come and go', async (t) => {
  const { nodes } = await startCluster(t, 3)
  const staying: Listener[] = []
  for (const node of nodes) staying.push(...(await listeners(node, 'in/list', 70)))
  let isOver = false
  const churn = nodes.map(async (node) => {
    while (!isOver) leave(await listener(node, 'in/list'))
  })
  for (const path of ['/connections', '/topics/list'])
    for (const node of nodes) {
      const ids: string[] = []
      let cursor: string | undefined
      do {
        const query = `limit=25${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`
        const page = await ask(node, 'GET', `${path}?${query}`)
        assert.equal(page.status, 200)
        ids.push(...page.json.connections.map((connection: { id: string }) => connection.id))
        cursor = page.json.cursor
      } while (cursor)
      assert.equal(new Set(ids).size, ids.length, 'each once')
      const listed = new Set(ids)
      assert.ok(
        staying.every(({ id }) => listed.has(id)),
        'all that stay',
      )
    }
  isOver = true
  await Promise.all(churn)
  for (const node of nodes)
    await until('the topic has those that stay', async () => {
      const { json } = await ask(node, 'GET', '/topics')
      return json.topics.length === 1 && json.topics[0].count === staying.length
    })
  leave(...staying)
})

test('a request to an id works through any node: describe, send, subscribe, close', async (t) => {
  const { nodes } = await startCluster(t, 3)
  const [a, b, c] = nodes as [Gateway, Gateway, Gateway]
  const one = await listener(a, 'plain')
  const path = `/connections/${one.id}`
  assert.equal((await ask(b, 'GET', path)).json.id, one.id)
  assert.deepEqual((await ask(c, 'POST', path, { body: 'hello' })).json, { delivered: 1, dropped: 0 })
  await until('it is there', () => one.received.includes('hello'))
  for (let i = 0; i < 50; i += 1) {
    assert.equal((await ask(b, 'PUT', `/topics/new-${i}/connections/${one.id}`)).status, 204)
    const pushed = await ask(c, 'POST', `/topics/new-${i}`, { body: `to ${i}` })
    assert.deepEqual([pushed.status, pushed.json], [200, { delivered: 1, dropped: 0 }])
  }
  assert.equal((await ask(c, 'DELETE', `/topics/new-0/connections/${one.id}`)).status, 204)
  assert.deepEqual((await ask(b, 'POST', '/topics/new-0', { body: 'x' })).json, { delivered: 0, dropped: 0 })
  assert.equal((await ask(b, 'DELETE', `${path}?code=4001&reason=away`)).status, 204)
  assert.deepEqual(await one.client.closed, { code: 4001, reason: 'away' })
  await until('it is gone everywhere', async () => (await ask(b, 'POST', path, { body: 'x' })).status === 410)
})

test('a subscription counts on every node before the client hears of it', async (t) => {
  const { nodes } = await startCluster(t, 2)
  const [a, b] = nodes as [Gateway, Gateway]
  const all: Listener[] = []
  for (let i = 0; i < 100; i += 1) {
    const one = await listener(a, `in/opened-${i}`)
    const { json } = await ask(b, 'POST', `/topics/opened-${i}`, { body: 'first' })
    assert.deepEqual(json, { delivered: 1, dropped: 0 }, 'after the 101')
    all.push(one)
  }
  const client = await open(`${a.ws}/ws/plain`)
  await client.next()
  for (let i = 0; i < 100; i += 1) {
    assert.equal(await client.ask(`subscribe answered-${i}`), 'subscribed')
    const { json } = await ask(b, 'POST', `/topics/answered-${i}`, { body: 'first' })
    assert.deepEqual(json, { delivered: 1, dropped: 0 }, 'after the frame of the answer')
    assert.equal(await client.next(), 'first')
  }
  client.socket.terminate()
  leave(...all)
})

test('a node receives nothing of topics that none of its sockets has', async (t) => {
  const { redis, nodes } = await startCluster(t, 3)
  const [a, b, c] = nodes as [Gateway, Gateway, Gateway]
  const one = await listener(a, 'in/only-a')
  assert.match(await redis.ask('PUBSUB', 'NUMSUB', 'framegate:topic:only-a'), /:1\r\n/)
  const payload = 'x'.repeat(10_000)
  const sent = async (): Promise<number[]> => {
    const list = await redis.ask('CLIENT', 'LIST')
    return [...list.matchAll(/name=framegate-framegate .*tot-net-out=(\d+)/g)].map((match) => Number(match[1]))
  }
  const before = await sent()
  for (let i = 0; i < 100; i += 1) await ask(c, 'POST', '/topics/only-a', { body: payload })
  await until('they arrive', () => one.received.length === 100)
  if (before.length === 3) {
    const grown = (await sent()).map((bytes, i) => bytes - before[i]!).sort((x, y) => x - y)
    assert.ok(grown[1]! < 100_000, `the links of the others got ${grown}`)
    assert.ok(grown[2]! > 1_000_000)
  }
  leave(one)
  await until('nobody is subscribed', async () =>
    /:0\r\n/.test(await redis.ask('PUBSUB', 'NUMSUB', 'framegate:topic:only-a')),
  )
  assert.deepEqual((await ask(b, 'POST', '/topics/only-a', { body: 'x' })).json, { delivered: 0, dropped: 0 })
})

test('two clusters on one Redis do not hear each other', async (t) => {
  const { redis, nodes } = await startCluster(t, 1)
  const other = await startNode(t, { REDIS_URL: urlOf(redis), CLUSTER_NAME: 'other' })
  await until('it is linked', async () => (await redis.ask('HLEN', 'other:nodes')) === ':1\r\n')
  const [here, there] = [await listener(nodes[0]!, 'in/same?user=u'), await listener(other, 'in/same?user=u')]
  for (const path of ['/topics/same', '/users/u', '/broadcast']) {
    assert.deepEqual((await ask(nodes[0]!, 'POST', path, { body: 'here' })).json, { delivered: 1, dropped: 0 })
    assert.deepEqual((await ask(other, 'POST', path, { body: 'there' })).json, { delivered: 1, dropped: 0 })
  }
  await until('all arrive', () => here.received.length === 3 && there.received.length === 3)
  assert.deepEqual([new Set(here.received), new Set(there.received)], [new Set(['here']), new Set(['there'])])
  leave(here, there)
})
