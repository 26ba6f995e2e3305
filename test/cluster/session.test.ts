// A session moves to the node that its client comes back to.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { comeBack } from '../session/support.ts'
import type { Gateway } from '../support/gateway.ts'
import { publisher } from '../support/publisher.ts'
import { pushGateway } from '../support/push-gateway.ts'
import { startRedis } from '../support/redis.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { nodesInRedis, urlOf } from './support.ts'

/** A streamed answer that goes on until its request is aborted. */
async function* endless(signal: AbortSignal): AsyncGenerator<string> {
  yield 'first'
  await once(signal, 'abort')
}

/** So many nodes whose sockets may be sessions, and the open and close events of all. */
async function sessionNodes(
  t: TestContext,
  count: number,
  more: Record<string, string> = {},
): Promise<{ nodes: Gateway[]; events: string[] }> {
  const redis = await startRedis(t)
  const events: string[] = []
  const routes: Parameters<typeof pushGateway>[2] = {
    routes: (app) =>
      app.ws('/ws/a', {
        session: '1m',
        open(_request, reply) {
          events.push('open')
          reply.subscribe('a', 'b', 'c')
          reply.user = 'ann'
        },
        message: (request, reply) => (request.body === 'stream' ? endless(reply.signal) : request.body),
        close: () => void events.push('close'),
      }),
  }
  const env = { REDIS_URL: urlOf(redis), WORKERS: '2', ...more }
  const nodes = await Promise.all(Array.from({ length: count }, () => pushGateway(t, env, routes)))
  await nodesInRedis(redis, count)
  return { nodes, events }
}

test('a socket moves among 3 nodes under a publisher at each: each frame once and in order', (t) => move(t, {}))

test('and so it does when two of the topics are kept', (t) => move(t, { HISTORY: 'b=1000/1h c=1000/1h' }))

async function move(t: TestContext, env: Record<string, string>): Promise<void> {
  const { nodes, events } = await sessionNodes(t, 3, env)
  const client = await new SessionClient(nodes[0]!.port, '/ws/a').dial()
  const topics = ['a', 'b', 'c']
  const publishers = topics.map((topic, i) => publisher(nodes[i]!, topic))
  const last: Record<string, number> = { a: 0, b: 0, c: 0 }
  const take = (text: string): void => {
    const [topic, number] = text.split(' ')
    assert.equal(Number(number), last[topic!]! + 1, `${topic} ${number} after ${last[topic!]}`)
    last[topic!] = Number(number)
  }
  const moves = 100
  for (let i = 0; i < moves; i++) {
    for (let j = 0; j < 5; j++) take(await client.next())
    client.cut()
    client.port = nodes[i % 3]!.port
    await comeBack(client)
    assert.equal(client.first.resumed, true, `dial ${i}`)
  }
  const ends = await Promise.all(publishers.map(({ stop }) => stop()))
  while (topics.some((topic, i) => last[topic] !== ends[i])) take(await client.next())
  t.diagnostic(`${moves} returns, ${ends} publications`)
  client.send('bye')
  assert.equal(await client.next(), 'bye')
  const [{ id }] = (await control(nodes[0]!, 'GET', '/connections')).json.connections
  for (const node of nodes) {
    const { status, json } = await control(node, 'POST', `/connections/${id}`, 'direct')
    assert.deepEqual([status, json], [200, { delivered: 1, dropped: 0 }])
    assert.equal(await client.next(), 'direct')
  }
  assert.deepEqual(events, ['open'])
}

test('a stream does not go along to another node: it ends with an error frame, and the session goes on', async (t) => {
  const { nodes, events } = await sessionNodes(t, 2)
  const client = await new SessionClient(nodes[0]!.port, '/ws/a').dial()
  client.send('stream')
  assert.equal(await client.next(), 'first')
  client.cut()
  client.port = nodes[1]!.port
  await comeBack(client)
  assert.equal(client.first.resumed, true)
  const error = JSON.parse(await client.next())
  assert.equal(error.statusCode, 502)
  assert.match(error.message, /the stream was ended, because its socket goes to another/)
  client.send('bye')
  assert.equal(await client.next(), 'bye')
  assert.deepEqual(events, ['open'])
})

test('a node that stops gives its sessions to the others: clients go on there, and no close event goes out', async (t) => {
  const { nodes, events } = await sessionNodes(t, 3)
  const [first, second, third] = nodes as [Gateway, Gateway, Gateway]
  const clients = await Promise.all(Array.from({ length: 30 }, () => new SessionClient(first.port, '/ws/a').dial()))
  for (const client of clients) client.cut()
  await until('all are away', async () => {
    const { connections } = (await control(first, 'GET', '/connections')).json
    return connections.length === 30 && connections.every((each: any) => each.session.away !== undefined)
  })
  assert.equal((await control(second, 'POST', '/topics/a', 'hello')).json.delivered, 30)
  assert.equal(await first.quit(), 0)
  assert.equal((await control(second, 'POST', '/users/ann', 'you')).json.delivered, 30)
  await Promise.all(
    clients.map(async (client, i) => {
      client.port = i % 2 ? second.port : third.port
      await comeBack(client)
      assert.equal(client.first.resumed, true, `client ${i}`)
      assert.equal(await client.next(), 'hello')
      assert.equal(await client.next(), 'you')
    }),
  )
  assert.deepEqual([...new Set(events)], ['open'])
})
