// Routes made with `app.ws`: which handler gets which event.
import assert from 'node:assert/strict'
import test from 'node:test'
import cookie from '@fastify/cookie'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { Type } from 'typebox'
import websocket from '../../plugin/index.ts'
import { buildApp, event } from '../plugin/support.ts'

test('each event is a route of its own', async (t) => {
  const app = await buildApp(t)
  const seen: string[] = []
  app.ws('/ws/x', {
    open: async () => {
      seen.push('open')
    },
    message: async () => {
      seen.push('message')
    },
    close: async () => {
      seen.push('close')
    },
  })
  for (const kind of ['open', 'message', 'close'] as const) {
    const answer = await app.inject(event(kind, '/ws/x', kind === 'message' ? 'hi' : undefined))
    assert.deepEqual([answer.statusCode, answer.body], [200, ''])
  }
  assert.deepEqual(seen, ['open', 'message', 'close'])
  assert.match(app.printRoutes(), /ceType.*framegate\.open/)
})

test('open and close without a handler do nothing, a message without one is a 404 that says why', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {})
  assert.equal((await app.inject(event('open', '/ws/x'))).statusCode, 200)
  assert.equal((await app.inject(event('close', '/ws/x'))).statusCode, 200)
  const answer = await app.inject(event('message', '/ws/x', 'hi'))
  assert.equal(answer.statusCode, 404)
  assert.match(answer.json().message, /\/ws\/x takes no messages/)
})

test('a synchronous handler that returns nothing is answered, also when it uses reply.send', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    open(_request, reply) {
      reply.subscribe('a')
    },
    message(_request, reply) {
      reply.publish('a', 'b').send('sent')
    },
  })
  assert.equal((await app.inject(event('open', '/ws/x'))).headers['ws-subscribe'], 'a')
  const answer = await app.inject(event('message', '/ws/x', 'hi'))
  assert.deepEqual(JSON.parse(answer.body).effects[1], { send: { text: 'sent' } })
})

test('open says that batches are welcome, unless the app does not want them', async (t) => {
  const willing = await buildApp(t)
  willing.ws('/ws/x', {})
  assert.equal((await willing.inject(event('open', '/ws/x'))).headers['ws-batch'], '1')
  assert.equal((await willing.inject(event('close', '/ws/x'))).headers['ws-batch'], undefined)
  const unwilling = await buildApp(t, { batch: false })
  unwilling.ws('/ws/x', {})
  assert.equal((await unwilling.inject(event('open', '/ws/x'))).headers['ws-batch'], undefined)
})

test('params, query, prefixes and encapsulated hooks are those of any route', async (t) => {
  const app = await buildApp(t)
  await app.register(
    async (instance) => {
      const chat = instance.withTypeProvider<TypeBoxTypeProvider>()
      chat.addHook('preHandler', async (_request, reply) => {
        reply.header('x-hook', 'chat')
      })
      chat.ws('/:room', {
        schema: { params: Type.Object({ room: Type.String() }), querystring: Type.Object({ n: Type.Integer() }) },
        message: async (request) => `${request.params.room} ${request.query.n + 1}`,
      })
    },
    { prefix: '/ws/chat' },
  )
  app.ws('/ws/other', { message: async () => 'other' })
  const answer = await app.inject(event('message', '/ws/chat/lobby?n=2', 'hi'))
  assert.deepEqual([answer.body, answer.headers['x-hook']], ['lobby 3', 'chat'])
  assert.equal((await app.inject(event('message', '/ws/other', 'hi'))).headers['x-hook'], undefined)
  assert.equal((await app.inject(event('open', '/ws/chat/lobby?n=two'))).statusCode, 400)
})

test('a hook that is added after the socket still guards it', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { message: async () => 'secret' })
  await app.register(async () => {})
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization === undefined) return reply.code(401).send('who are you')
  })
  assert.equal((await app.inject(event('message', '/ws/x', 'hi'))).statusCode, 401)
  assert.equal((await app.inject(event('message', '/ws/x', 'hi', { authorization: 'me' }))).body, 'secret')
})

test('options of a Fastify route hold for all three events', async (t) => {
  const app = await buildApp(t)
  const urls: string[] = []
  app.ws('/ws/x', {
    config: { tag: 'mine' } as object,
    bodyLimit: 4,
    preHandler: async (request) => {
      urls.push(`${request.event?.type} ${(request.routeOptions.config as { tag?: string }).tag}`)
    },
    message: async () => 'ok',
  })
  for (const kind of ['open', 'message', 'close'] as const)
    await app.inject(event(kind, '/ws/x', kind === 'message' ? 'four' : undefined))
  assert.deepEqual(urls, ['open mine', 'message mine', 'close mine'])
  assert.equal((await app.inject(event('message', '/ws/x', 'fives'))).statusCode, 413)
})

test('cookies are read on every event and set by open', async (t) => {
  const app = await buildApp(t)
  await app.register(cookie)
  app.ws('/ws/x', {
    open: async (_request, reply) => {
      reply.setCookie('a', '1').setCookie('b', '2')
    },
    message: async (request) => request.cookies.a,
  })
  assert.deepEqual((await app.inject(event('open', '/ws/x'))).headers['set-cookie'], [
    'a=1; SameSite=Lax',
    'b=2; SameSite=Lax',
  ])
  assert.equal((await app.inject(event('message', '/ws/x', 'hi', { cookie: 'a=7' }))).body, '7')
})

test('plain routes are found with and without ce-type, also beside sockets and at the same path', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/socket', { message: async () => 'socket' })
  app.post('/ws/plain', async (request) => ({ got: request.body, type: request.event?.type ?? null }))
  app.post('/ws/socket', async () => 'plain')
  app.get('/', async () => 'site')
  const answer = await app.inject(event('message', '/ws/plain', '{"a":1}'))
  assert.deepEqual(answer.json(), { got: { a: 1 }, type: 'message' })
  assert.deepEqual((await app.inject({ method: 'POST', url: '/ws/plain', payload: { a: 1 } })).json(), {
    got: { a: 1 },
    type: null,
  })
  assert.equal((await app.inject({ url: '/', headers: { 'ce-type': 'framegate.open' } })).body, 'site')
  assert.equal((await app.inject(event('message', '/ws/socket', 'hi'))).body, 'socket')
  assert.equal((await app.inject({ method: 'POST', url: '/ws/socket' })).body, 'plain')
})

test('the contract needs no plugin', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.post('/ws/x', async (request) => request.body)
  assert.equal((await app.inject(event('message', '/ws/x', 'hi'))).body, 'hi')
})

test('two parts of an app can each have the plugin', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  for (const prefix of ['/a', '/b']) {
    app.register(
      async (part) => {
        await part.register(websocket)
        part.ws('/ws', { message: async (request) => prefix + String(request.body) })
      },
      { prefix },
    )
  }
  assert.equal((await app.inject(event('message', '/a/ws', 'hi'))).body, '/ahi')
  assert.equal((await app.inject(event('message', '/b/ws', 'hi'))).body, '/bhi')
})

test('request.event holds the facts of the event', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { message: async (request) => request.event, close: async (request) => request.event })
  const facts = {
    'ce-id': 'c1/7',
    'ce-connectionid': 'c1',
    'ce-eventnumber': '7',
    'ce-time': '2026-11-20T10:00:00.123Z',
    'ce-state': 'caf%C3%A9%20%22%25',
  }
  assert.deepEqual((await app.inject(event('message', '/ws/x', 'hi', facts))).json(), {
    type: 'message',
    id: 'c1/7',
    connectionId: 'c1',
    number: 7,
    time: '2026-11-20T10:00:00.123Z',
    transport: 'websocket',
    state: 'café "%',
    user: null,
    closeCode: null,
    closeReason: null,
    duration: null,
  })
  const closing = {
    ...facts,
    'ce-closecode': '4001',
    'ce-closereason': 'so%20long',
    'ce-duration': '1500',
    'ce-transport': 'sse',
  }
  const closed = (await app.inject(event('close', '/ws/x', undefined, closing))).json()
  assert.deepEqual([closed.closeCode, closed.closeReason, closed.duration], [4001, 'so long', 1500])
  assert.equal(closed.transport, 'sse')
})

test('schemas in the wrong place are refused by name', async (t) => {
  const app = await buildApp(t)
  assert.throws(() => app.ws('/ws/x', { schema: { body: {} } as object }), /schema of a frame is schema\.message/)
})
