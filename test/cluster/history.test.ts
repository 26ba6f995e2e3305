// The history of topics in Redis, read and written through every node.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { historyRoutes, kept, publish, take } from '../push/history.ts'
import { open } from '../support/client.ts'
import { ask, join } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { startCluster } from './support.ts'

const texts = (messages: Array<{ text?: string }>) => messages.map(({ text }) => text)

test('a kept topic is the same through every node: positions, messages, subscriptions, bounds by number', async (t) => {
  const { nodes } = await startCluster(t, 2, { env: { HISTORY: 'chat:=3/10m' }, routes: historyRoutes })
  const [north, south] = [nodes[0]!, nodes[1]!]
  assert.equal((await publish(north, 'other', 'x')).position, undefined)
  assert.equal((await kept(south, 'other')).status, 404)
  const before = await kept(south, 'chat:1')
  assert.deepEqual(before.messages, [])
  const live = await open(`${south.ws}/ws/from/chat:1`)
  assert.equal(await live.next(), 'hello')
  const positions: string[] = []
  for (const [i, body] of ['a', 'b', 'c', 'd'].entries()) {
    const { position, delivered } = await publish(nodes[i % 2]!, 'chat:1', body)
    assert.equal(delivered, 1)
    positions.push(position)
  }
  assert.deepEqual(await take(live, 4), ['a', 'b', 'c', 'd'])
  for (const node of nodes) {
    const all = await kept(node, 'chat:1')
    assert.deepEqual(texts(all.messages), ['b', 'c', 'd'])
    assert.deepEqual(
      all.messages.map(({ position }) => position),
      positions.slice(1),
    )
    assert.equal(all.position, positions[3])
    assert.ok(Math.abs(Date.parse(all.messages[0]!.time) - Date.now()) < 60_000)
    assert.deepEqual(texts((await kept(node, 'chat:1', `?after=${positions[2]}`)).messages), ['d'])
    assert.deepEqual((await kept(node, 'chat:1', `?after=${positions[3]}`)).messages, [])
    for (const after of [before.position, 'nonsense', positions[3]!.replace(/.$/, 'f')])
      assert.equal((await kept(node, 'chat:1', `?after=${after}`)).status, 410)
    assert.deepEqual(texts((await kept(node, 'chat:1', '?last=1')).messages), ['d'])
  }
  const last = await open(`${north.ws}/ws/from/chat:1?last=2`)
  assert.deepEqual(await take(last, 3), ['hello', 'c', 'd'])
  const after = await open(`${south.ws}/ws/from/chat:1?after=${positions[2]}`)
  assert.deepEqual(await take(after, 2), ['hello', 'd'])
  const refused = await open(`${south.ws}/ws/from/chat:1?after=${before.position}`)
  assert.equal(await refused.next(), 'hello')
  assert.equal((await refused.json()).statusCode, 410)
  const chosen = await open(`${north.ws}/ws/from/chat:1?after=${before.position}&else=last&last=1`)
  assert.deepEqual(await take(chosen, 2), ['hello', 'd'])
  const none = await open(`${north.ws}/ws/from/chat:1?after=${before.position}&else=none`)
  assert.deepEqual(await take(none, 1), ['hello'])
  const clients = [live, last, after, refused, chosen, none]
  assert.equal((await publish(north, 'chat:1', 'e')).delivered, 6)
  for (const client of clients) assert.deepEqual(await take(client, 1), ['e'])
  assert.equal((await publish(north, 'chat:1', 'x'.repeat(65_537))).position, null)
  for (const client of clients) assert.equal((await take(client, 1))[0]!.length, 65_537)
  for (const client of clients) client.socket.terminate()
})

test('bounds by age, and topics without frames leave nothing in Redis', async (t) => {
  const { redis, nodes } = await startCluster(t, 1, { env: { HISTORY: 'old=10/1s' } })
  const node = nodes[0]!
  const { position } = await publish(node, 'old', 'a')
  await publish(node, 'old', 'b')
  const streams = async () => await redis.ask('EXISTS', 'framegate:stream:old')
  assert.equal(await streams(), ':1\r\n')
  await until('the frames are too old', async () => (await kept(node, 'old')).messages.length === 0)
  assert.equal((await kept(node, 'old', `?after=${position}`)).status, 410)
  await until('Redis has removed the stream', async () => (await streams()) === ':0\r\n')
  assert.match(await redis.ask('PTTL', 'framegate:facts:old'), /^:[1-9]/)
  assert.match((await publish(node, 'old', 'c')).position, /\.3$/)
})

test('a repeat with the same key is stored once, through whichever node', async (t) => {
  const { nodes } = await startCluster(t, 2, { env: { HISTORY: '=100/10m' }, routes: historyRoutes })
  const reader = await open(`${nodes[1]!.ws}/ws/from/t`)
  assert.equal(await reader.next(), 'hello')
  const headers = { 'idempotency-key': 'k' }
  const answers = []
  for (const node of [nodes[0]!, nodes[1]!, nodes[0]!])
    answers.push(await ask(node, 'POST', '/topics/t', { body: 'once', headers }))
  for (const { status, json } of answers) assert.deepEqual([status, json], [200, answers[0]!.json])
  assert.equal((await kept(nodes[0]!, 't')).messages.length, 1)
  await publish(nodes[0]!, 't', 'next')
  assert.deepEqual(await take(reader, 2), ['once', 'next'])
  reader.socket.terminate()
})

test('PUT of a subscription sends kept frames, through a node that does not hold the connection', async (t) => {
  const { nodes } = await startCluster(t, 2, { env: { HISTORY: 'chat:=3/10m' }, routes: historyRoutes })
  const [north, south] = [nodes[0]!, nodes[1]!]
  const { position: start } = await kept(north, 'chat:1')
  for (const body of ['a', 'b']) await publish(north, 'chat:1', body)
  const { client, id } = await join(north, 'other')
  const put = async (query: string) => (await ask(south, 'PUT', `/topics/chat:1/connections/${id}?${query}`)).status
  assert.equal(await put('last=1'), 204)
  assert.deepEqual(await take(client, 1), ['b'])
  assert.deepEqual(await Promise.all([put(`after=${start}`), put('last=2')]), [204, 204])
  assert.deepEqual(await take(client, 4), ['a', 'b', 'a', 'b'])
  for (const body of ['c', 'd']) await publish(south, 'chat:1', body)
  assert.equal(await put(`after=${start}`), 410)
  assert.deepEqual(await take(client, 2), ['c', 'd'])
  client.socket.terminate()
})

test('an answer that subscribes and publishes: its own frame comes once, behind the kept ones', async (t) => {
  const routes = (app: FastifyInstance) => {
    app.ws('/ws/chat', {
      message(request, reply) {
        if (request.body === 'plain') return reply.subscribe('chat:2').publish('chat:2', 'own').send('subscribed')
        reply.subscribe('chat:1', { last: 50 }).publish('chat:1', 'joined').frame('first')
        return `body ${request.body}`
      },
    })
  }
  const { nodes } = await startCluster(t, 2, { env: { HISTORY: 'chat:=100/10m' }, routes })
  await publish(nodes[1]!, 'chat:1', 'earlier')
  const client = await open(`${nodes[0]!.ws}/ws/chat`)
  for (const text of ['x', 'plain']) client.socket.send(text)
  assert.deepEqual(await take(client, 4), ['first', 'body x', 'earlier', 'joined'])
  assert.deepEqual((await take(client, 2)).sort(), ['own', 'subscribed'])
  await publish(nodes[1]!, 'chat:1', 'live')
  assert.deepEqual(await take(client, 1), ['live'])
  client.socket.terminate()
})
