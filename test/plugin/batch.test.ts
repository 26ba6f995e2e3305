// Batches of events: answered as if each had come alone.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import test from 'node:test'
import cookie from '@fastify/cookie'
import { Type } from 'typebox'
import { Close } from '../../plugin/index.ts'
import {
  type Answer,
  type App,
  batchRequest,
  buildApp,
  event,
  type Line,
  listen,
  request,
  sendBatch,
} from './support.ts'

const FORWARDED = {
  'x-forwarded-for': '192.0.2.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'example.com:8443',
  host: 'internal',
}

const context = new AsyncLocalStorage<string>()

/** Every way a route can answer. Each is asked once alone and once in a batch. */
function addRoutes(app: App): void {
  const answers: Record<string, (request: any, reply: any) => unknown> = {
    nothing: () => {},
    string: () => 'héllo 😀',
    'lone-surrogate': () => 'a\ud800b',
    object: () => ({ a: [1] }),
    null: () => null,
    buffer: () => Buffer.from([0, 255]),
    'text-buffer': (_request, reply) => {
      reply.type('text/plain')
      return Buffer.from('text')
    },
    'broken-text-buffer': (_request, reply) => {
      reply.type('text/plain')
      return Buffer.from([255])
    },
    'binary-string': (_request, reply) => {
      reply.type('image/svg+xml')
      return '<svg/>'
    },
    promise: async () => {
      await new Promise(setImmediate)
      return 'later'
    },
    stream: () => Readable.from(['a', 'b']),
    'web-stream': () => new Response('web').body,
    response: () =>
      new Response('{"r":1}', { status: 201, headers: { 'content-type': 'application/json', 'x-mine': 'é' } }),
    hijack: (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(202, { 'X-Raw': '1' })
      reply.raw.write('ra')
      reply.raw.end('w')
    },
    'hijack-and-end': (_request, reply) => {
      reply.hijack().raw.end('ended')
    },
    'reply.send': async (_request, reply) => reply.code(201).header('x-a', ['1', '2']).send({ sent: true }),
    '204': async (_request, reply) => reply.code(204).send(),
    throw: () => {
      throw Object.assign(new Error('thrown'), { statusCode: 418 })
    },
    reject: async () => {
      throw new Error('rejected')
    },
    close: () => {
      throw new Close(4000, 'so long')
    },
    'not-found': (_request, reply) => reply.callNotFound(),
    context: async () => context.getStore() ?? 'lost',
    redirect: (_request, reply) => reply.redirect('/elsewhere'),
    cookies: (request, reply) => {
      reply.setCookie('a', '1').setCookie('b', request.cookies.c)
      return 'set'
    },
    'one-cookie': (_request, reply) => {
      reply.setCookie('a', '1')
      return 'set'
    },
    effects: (_request, reply) => {
      reply.publish('t', 'x').subscribe('a')
      return 'héllo'
    },
    'bad-header': async (_request, reply) => {
      reply.header('x-bad', 'a\nb')
      return 'x'
    },
    client: ({ ip, ips, hostname, host, protocol, port, method, url, query }) => ({
      ip,
      ips,
      hostname,
      host,
      protocol,
      port,
      method,
      url,
      query,
    }),
    headers: ({ headers }) => ({ ...headers, connection: undefined }),
    raw: async ({ raw, body }) => ({
      httpVersion: raw.httpVersion,
      complete: raw.complete,
      aborted: raw.aborted,
      encrypted: !!raw.socket.encrypted,
      destroyed: raw.socket.destroyed,
      body,
    }),
    'failing-stream': () =>
      Readable.from(
        (async function* () {
          yield 'a'
          await new Promise(setImmediate)
          throw new Error('broke')
        })(),
      ),
    'stream-that-never-starts': () =>
      new Readable({
        read() {
          this.destroy(new Error('never'))
        },
      }),
    destroy: (request) => {
      request.raw.socket.destroy()
      return new Promise(() => {})
    },
  }
  for (const [name, answer] of Object.entries(answers)) {
    app.ws(`/ws/${name}`, { message: (request, reply) => answer(request, reply) })
    app.post(`/plain/${name}`, async (request, reply) => answer(request, reply))
  }
  app.ws('/ws/schema', {
    schema: { message: Type.Object({ n: Type.Integer() }) },
    message: async (request) => ({ n: request.body.n }),
  })
  app.ws('/ws/small', { bodyLimit: 10, message: (request) => request.body })
  app.post('/plain/small', { bodyLimit: 10 }, async (request) => request.body)
  app.ws('/ws/signal', { message: async (request) => String(request.signal.aborted) })
  app.post(
    '/plain/parsed',
    { preParsing: async (_request, _reply, payload) => payload },
    async (request) => request.body,
  )
}

/** A hook of each kind, each leaving its mark on the answer, the last ones in `done`. */
async function addHooks(app: App, done: string[]): Promise<void> {
  await app.register(cookie)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-on-request', request.url)
    if (request.headers['x-refuse']) return reply.code(401).send({ who: 'are you' })
  })
  app.addHook('onRequest', (request, _reply, next) => context.run(request.url, next))
  app.addHook('preHandler', (request, reply, next) => {
    reply.header('x-body', typeof request.body)
    next()
  })
  app.addHook('onSend', (_request, reply, payload, next) => {
    reply.header('x-sent', typeof payload)
    next(null, payload)
  })
  app.addHook('onResponse', async (request, reply) => {
    done.push(`${request.url} ${reply.statusCode}`)
  })
  app.addHook('onTimeout', async (_request, _reply) => {})
  app.addHook('onRequestAbort', async (_request) => {})
}

type Result = { status: number; headers: object; body: string } | 'lost'
const OF_THE_CONNECTION = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length']

function withoutConnection(headers: object): object {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.includes(name)))
}

function ofAnswer({ status, headers, body }: Answer): Result {
  return { status, headers: withoutConnection(headers), body: body.toString('base64') }
}

/** light-my-request has no socket, adds a user-agent, and keeps headers that node:http drops with a bad one. */
const IN_INJECT_DIFFERENT = /\/(?:raw|destroy|headers|bad-header)\?/

async function ofInject(app: App, asked: ReturnType<typeof event>): Promise<Result> {
  const { statusCode: status, headers, rawPayload } = await app.inject(asked)
  const values = Object.entries(withoutConnection(headers)).map(([name, value]) => [
    name,
    name === 'set-cookie' ? [value].flat() : [value].flat().join(', '),
  ])
  return { status, headers: Object.fromEntries(values), body: rawPayload.toString('base64') }
}

function ofLine(line: Line | undefined): Result {
  if (!line) return 'lost'
  assert.ok((line.body ?? '').isWellFormed())
  const body = line.body_base64 ?? Buffer.from(line.body ?? '').toString('base64')
  return { status: line.status, headers: withoutConnection(line.headers), body }
}

test('every kind of answer is the same alone, in a batch and from app.inject', async (t) => {
  const app = await buildApp(t, { trustProxy: true })
  const done: string[] = []
  await addHooks(app, done)
  addRoutes(app)
  const port = await listen(app)
  const routes = app.printRoutes({ commonPrefix: false }).matchAll(/(\/(?:ws|plain)\/\S+) \(POST\)/g)
  const paths = new Set([...routes].map(([, path]) => path!))
  assert.ok(paths.size > 60)
  const texts: [string, string | undefined, Record<string, string>][] = [
    ...[...paths].map((path): [string, string, {}] => [`${path}?q=1`, 'héllo', {}]),
    ['/ws/schema', '{"n":1}', {}],
    ['/ws/schema', '{"n":"x"}', {}],
    ['/ws/schema', '{', {}],
    ['/ws/schema', '', {}],
    ['/ws/small', '0123456789', {}],
    ['/ws/small', '0123456789a', {}],
    ['/plain/small', '0123456789a', {}],
    ['/ws/string', 'x', { 'x-refuse': '1' }],
    ['/ws/cookies', 'x', { cookie: 'c=3' }],
    ['/nowhere', 'x', {}],
    ['/ws/%zz', 'x', {}],
    ['/plain/parsed', 'x'.repeat(100_000), {}],
    ['/plain/headers', '[', {}],
    ['/ws/string', undefined, { 'ce-type': 'framegate.open' }],
    ['/ws/string', undefined, { 'ce-type': 'framegate.close' }],
    ['/ws/string', 'x', { 'ce-type': 'framegate.other' }],
  ]
  const events = texts.map(([url, text, headers], i) =>
    event('message', url, text, { ...FORWARDED, 'ce-id': `c${i}/1`, ...headers }),
  )
  const alone: Result[] = []
  for (const { url, headers, payload } of events) {
    const lengths = payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) }
    alone.push(
      await request(port, { path: url, headers: { ...headers, ...lengths } }, payload).then(ofAnswer, () => 'lost'),
    )
  }
  const doneAlone = done.splice(0).sort()
  const lines = await sendBatch(
    port,
    events.map(({ url, headers, payload }) => ({ path: url, headers, body: payload })),
  )
  for (const [i, { url, headers }] of events.entries()) {
    assert.deepEqual(ofLine(lines.get(headers['ce-id'])), alone[i], `${url} ${headers['ce-type']}`)
  }
  assert.deepEqual(done.sort(), doneAlone)
  assert.deepEqual(alone.flatMap((result, i) => (result === 'lost' ? [events[i]!.url] : [])).sort(), [
    '/plain/destroy?q=1',
    '/plain/failing-stream?q=1',
    '/ws/destroy?q=1',
    '/ws/failing-stream?q=1',
  ])
  for (const [i, asked] of events.entries()) {
    if (IN_INJECT_DIFFERENT.test(asked.url)) continue
    assert.deepEqual(await ofInject(app, asked).catch(() => 'lost'), alone[i], `${asked.url} from app.inject`)
  }
})

test('lines come as their events finish, and a batch that is answered at once is one write', async (t) => {
  const app = await buildApp(t)
  const { promise, resolve: release } = Promise.withResolvers<string>()
  app.ws('/ws/fast', { message: async (request) => request.body })
  app.ws('/ws/slow', { message: () => promise })
  const port = await listen(app)
  const at = (path: string, id: string) => ({
    path,
    headers: event('message', path, 'x', { 'ce-id': id }).headers,
    body: id,
  })
  const outgoing = http.request({ host: '127.0.0.1', port, method: 'POST', ...batchRequest })
  outgoing.end(JSON.stringify([at('/ws/slow', 'a'), at('/ws/fast', 'b'), at('/ws/fast', 'c')]))
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
  assert.equal(response.headers['content-type'], 'application/x-ndjson')
  const parts = response[Symbol.asyncIterator]()
  const first = String((await parts.next()).value)
  assert.deepEqual(
    first
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).id),
    ['b', 'c'],
  )
  release('at last')
  assert.equal(JSON.parse(String((await parts.next()).value)).body, 'at last')
  assert.equal((await parts.next()).done, true)
  const whole = await request(port, batchRequest, JSON.stringify([at('/ws/fast', 'd'), at('/ws/fast', 'e')]))
  assert.equal(Number(whole.headers['content-length']), whole.body.length)
  assert.equal((await request(port, batchRequest, '[]')).body.length, 0)
})

test('a batch that cannot be read is refused as a whole, and says what was expected', async (t) => {
  const app = await buildApp(t)
  let ran = 0
  app.ws('/ws/x', {
    message: async () => {
      ran++
    },
  })
  const port = await listen(app)
  const good = { path: '/ws/x', headers: event('message', '/ws/x', 'hi').headers, body: 'hi' }
  const faults: [string, RegExp][] = [
    ['{', /JSON array of .*: Expected property name/],
    ['{}', /JSON array of/],
    [JSON.stringify([good, 7]), /event 1 is not an object/],
    [JSON.stringify([{ ...good, path: 'ws' }]), /event 0 has no path that begins with \//],
    [JSON.stringify([{ path: '/' }]), /event 0 has no headers/],
    [JSON.stringify([{ path: '/', headers: {} }]), /event 0 has no header ce-id/],
    [JSON.stringify([{ path: '/', headers: { 'ce-id': 7 } }]), /event 0 has a header ce-id that is no string/],
    [JSON.stringify([{ ...good, body: { a: 1 } }]), /event 0 has a body that is no string/],
    [JSON.stringify([{ ...good, body: undefined, body_base64: 1 }]), /event 0 has a body_base64 that is no string/],
  ]
  for (const [body, expected] of faults) {
    const answer = await request(port, batchRequest, body)
    assert.equal(answer.status, 400, body)
    assert.match(JSON.parse(answer.body.toString()).message, expected)
  }
  assert.equal(ran, 0)
  const tooLarge = await request(port, batchRequest, Buffer.alloc(64 * 1024 * 1024 + 1, ' '))
  assert.equal(tooLarge.status, 413)
})

test('when the connection of a batch breaks, its events see it', async (t) => {
  const app = await buildApp(t)
  const seen: string[] = []
  const { promise: allSeen, resolve } = Promise.withResolvers<void>()
  const mark = (what: string): void => {
    if (seen.push(what) === 5) resolve()
  }
  app.addHook('onRequestAbort', async (request) => {
    mark(`abort hook ${request.url}`)
  })
  app.ws('/ws/x', {
    message: ({ raw, signal }, reply) => {
      raw.on('close', () => mark(`request closed, aborted: ${raw.aborted}`))
      signal.addEventListener('abort', () => mark('signal'))
      reply.raw.on('close', () => mark(`response closed, finished: ${reply.raw.writableFinished}`))
      return new Promise(() => {})
    },
  })
  app.post('/plain', (_request, reply) => {
    reply.raw.on('close', () => mark(`plain response closed, finished: ${reply.raw.writableFinished}`))
  })
  app.ws('/ws/done', { message: async () => 'done' })
  const port = await listen(app)
  const outgoing = http.request({ host: '127.0.0.1', port, method: 'POST', ...batchRequest })
  outgoing.end(
    JSON.stringify(
      ['/ws/x', '/plain', '/ws/done'].map((path) => ({
        path,
        headers: event('message', path, 'x', { 'ce-id': path }).headers,
        body: 'x',
      })),
    ),
  )
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
  await once(response, 'data')
  response.on('error', () => {})
  outgoing.destroy()
  await allSeen
  assert.deepEqual(seen.sort(), [
    'abort hook /ws/x',
    'plain response closed, finished: false',
    'request closed, aborted: true',
    'response closed, finished: false',
    'signal',
  ])
})

test('the requests of a batch close when they are answered', async (t) => {
  const app = await buildApp(t)
  const closed = new Set<string>()
  const { promise: bothClosed, resolve } = Promise.withResolvers<void>()
  app.ws('/ws/x', {
    preHandler: async ({ raw, event: { id } = { id: '' } }) => {
      raw.on('close', () => {
        if (closed.add(`${id} ${raw.aborted}`).size === 2) resolve()
      })
    },
    message: async () => 'hi',
  })
  const port = await listen(app)
  const { headers } = event('message', '/ws/x', 'hi', { 'ce-id': 'message' })
  await sendBatch(port, [
    { path: '/ws/x', headers, body: 'hi' },
    { path: '/ws/x', headers: event('open', '/ws/x', undefined, { 'ce-id': 'open' }).headers },
  ])
  await bothClosed
  assert.deepEqual([...closed].sort(), ['message false', 'open false'])
})
