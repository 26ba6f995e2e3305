// What an answer of the handler does besides being a frame: in order, without a second HTTP call.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, join, leave, pushGateway } from '../support/push-gateway.ts'
import { rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

type Params = { room: string }

function routes(app: FastifyInstance): void {
  app.ws('/ws/greeted/:room', {
    open(request, reply) {
      const { room } = request.params as Params
      reply
        .frame('first')
        .subscribe(room, 'extra')
        .publish(room, `${room}: joined`)
        .frame(Buffer.from([1]))
        .frame({ third: 3 })
      reply.user = 'ann'
      reply.state = 'süß'
      return reply.header('set-cookie', 'seen=1').send('the body is the last')
    },
    message(request, reply) {
      const { room } = request.params as Params
      const word = String(request.body)
      if (word === 'effects') {
        return reply
          .frame('one')
          .unsubscribe('extra')
          .publish('extra', 'not for me')
          .publish(room, 'for all')
          .publish(room, 'for others', { except: 'self' })
          .frame('two')
          .send('three')
      }
      if (word === 'later')
        return reply.publish('late', 'too early').subscribe('late').publish('late', 'in time').send()
      if (word === 'state') return `${reply.state} ${request.event.state}`
      if (word.startsWith('state ')) {
        reply.state = word.slice(6) || null
        return reply.send('kept')
      }
      if (word.startsWith('user ')) {
        reply.user = word.slice(5)
        return reply.frame('named').send()
      }
      if (word === 'many')
        return reply.subscribe(...Array.from({ length: 60 }, (_, i) => `räume/${'x'.repeat(40)},${i}`)).send('many')
      return reply.frame('before').close(4002, 'genug').send('last words')
    },
    close(request, reply) {
      const { room } = request.params as Params
      reply.publish(room, `${room}: left ${request.event.closeCode} ${reply.state}`).frame('nobody reads this')
    },
  })
  app.ws('/ws/refused', {
    open(_request, reply) {
      reply.subscribe('refused').publish('in', 'a refusal does nothing')
      return reply.code(403).send({ no: 'entry' })
    },
  })
  app.ws('/ws/shut', {
    open: (_request, reply) =>
      reply.frame('hello').subscribe('shut').publish('in', 'from shut').close(4003, 'closed').send('bye'),
  })
}

async function greeted(gateway: Gateway, room: string): Promise<Client> {
  const client = await open(`${gateway.ws}/ws/greeted/${room}`)
  const frames = [
    await client.next(),
    await client.next(),
    await client.next(),
    await client.next(),
    await client.next(),
  ]
  assert.deepEqual(
    frames.filter((frame) => frame !== `${room}: joined`),
    ['first', Buffer.from([1]), '{"third":3}', 'the body is the last'],
  )
  assert.equal(frames.length, 5, 'its own joining too')
  return client
}

async function topicsOf(gateway: Gateway): Promise<Record<string, number>> {
  const { json } = await ask(gateway, 'GET', '/topics')
  return Object.fromEntries(json.topics.map(({ topic, count }: { topic: string; count: number }) => [topic, count]))
}

for (const workers of ['1', '4']) {
  test(`open, message and close with ${workers} workers`, async (t) => {
    const gateway = await pushGateway(t, { WORKERS: workers }, { routes })
    const watcher = await join(gateway, 'lobby')
    const client = await greeted(gateway, 'lobby')
    assert.equal(await watcher.client.next(), 'lobby: joined')
    assert.deepEqual(await topicsOf(gateway), { lobby: 2, extra: 1 })
    assert.equal((await ask(gateway, 'POST', '/users/ann', { body: 'to ann' })).json.delivered, 1)
    assert.equal(await client.next(), 'to ann')

    client.socket.send('effects')
    const frames = [await client.next(), await client.next(), await client.next(), await client.next()]
    assert.deepEqual(
      frames.filter((frame) => frame !== 'for all'),
      ['one', 'two', 'three'],
    )
    assert.deepEqual([await watcher.client.next(), await watcher.client.next()], ['for all', 'for others'])
    assert.deepEqual(await topicsOf(gateway), { lobby: 2 })

    client.socket.send('later')
    assert.equal(await client.next(), 'in time', 'what was published before it subscribed does not come')
    assert.equal(await client.ask('state'), 'süß süß')
    assert.equal(await client.ask('state 100 % "anders"'), 'kept')
    assert.equal(await client.ask('state'), '100 % "anders" 100 % "anders"')
    assert.equal(await client.ask('state '), 'kept')
    assert.equal(await client.ask('state'), 'null null')
    assert.equal(await client.ask('user bob/2'), 'named')
    assert.equal((await ask(gateway, 'POST', '/users/ann', { body: 'x' })).json.delivered, 0)
    assert.equal((await ask(gateway, 'POST', '/users/bob%2F2', { body: 'to bob' })).json.delivered, 1)
    assert.equal(await client.next(), 'to bob')
    assert.equal(await client.ask('many'), 'many', 'more than headers hold')
    assert.equal(Object.keys(await topicsOf(gateway)).length, 62)

    assert.equal(await client.ask('end'), 'before')
    assert.equal(await client.next(), 'last words')
    assert.deepEqual(await client.closed, { code: 4002, reason: 'genug' })
    assert.equal(await watcher.client.next(), 'lobby: left 4002 null', 'a goodbye to the topic')
    assert.deepEqual(await topicsOf(gateway), { lobby: 1 })
    leave(watcher)
  })
}

for (const workers of ['1', '4']) {
  test(`the first answers of a gateway with ${workers} workers, before the workers are linked, are applied in order too`, async (t) => {
    const gateway = await pushGateway(
      t,
      { WORKERS: workers },
      {
        linked: false,
        routes: (app) =>
          app.ws('/ws/first', {
            open: (_request, reply) =>
              reply
                .publish('own', 'too early')
                .subscribe('own')
                .publish('own', 'in time')
                .unsubscribe('own')
                .publish('own', 'too late')
                .send('body'),
          }),
      },
    )
    for (let i = 0; i < 4; i++) {
      const client = await open(`${gateway.ws}/ws/first`)
      assert.deepEqual([await client.next(), await client.next()], ['in time', 'body'])
      client.socket.terminate()
    }
  })
}

test('a goodbye also when the client is just gone', async (t) => {
  const gateway = await pushGateway(t, {}, { routes })
  const watcher = await join(gateway, 'lobby')
  const client = await greeted(gateway, 'lobby')
  assert.equal(await watcher.client.next(), 'lobby: joined')
  client.socket.terminate()
  assert.equal(await watcher.client.next(), 'lobby: left 1006 süß')
  leave(watcher)
})

test('a refused open does nothing to others; one that closes does', async (t) => {
  const gateway = await pushGateway(t, {}, { routes })
  const watcher = await join(gateway, 'in')
  await assert.rejects(open(`${gateway.ws}/ws/refused`), /403/)
  const shut = await open(`${gateway.ws}/ws/shut`)
  assert.deepEqual([await shut.next(), await shut.next()], ['hello', 'bye'])
  assert.deepEqual(await shut.closed, { code: 4003, reason: 'closed' })
  assert.equal(await watcher.client.next(), 'from shut')
  await until('gone', async () => Object.keys(await topicsOf(gateway)).join() === 'in')
  assert.equal(await watcher.client.ask('nothing else'), 'nothing else')
  leave(watcher)
})

test('frames of an open come after its 101, also in one packet with it', async (t) => {
  const gateway = await pushGateway(t, {}, { routes })
  const socket = await rawSocket(gateway.port, '/ws/greeted/raw')
  assert.equal(socket.status, 101)
  assert.equal(socket.headers['set-cookie'], 'seen=1')
  const payloads: string[] = []
  while (payloads.length < 5) payloads.push((await socket.frame()).payload.toString('latin1'))
  assert.equal(payloads[0], 'first')
  assert.equal(payloads.filter((payload) => payload === 'raw: joined').length, 1)
  socket.socket.destroy()
})

test('more topics than MAX_TOPICS: the client is told, those before are kept', async (t) => {
  const gateway = await pushGateway(
    t,
    { MAX_TOPICS: '3', WORKERS: '1' },
    {
      expect: [/the handler's answer cannot be applied: a connection may have 3 topics/],
      routes: (app) =>
        app.ws('/ws/many', {
          message: (request, reply) => reply.subscribe(...String(request.body).split(' ')).send('answered'),
        }),
    },
  )
  const client = await open(`${gateway.ws}/ws/many`)
  assert.equal(await client.ask('a b c'), 'answered')
  client.socket.send('d')
  const frames = [String(await client.next()), String(await client.next())]
  assert.ok(frames.includes('answered'))
  const error = JSON.parse(frames.find((frame) => frame !== 'answered')!)
  assert.equal(error.statusCode, 502)
  assert.match(error.message, /3 topics at most \(MAX_TOPICS\)/)
  assert.deepEqual(await topicsOf(gateway), { a: 1, b: 1, c: 1 })
  client.socket.terminate()
})
