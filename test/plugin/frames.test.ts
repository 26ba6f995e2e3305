// Frames in and out of a route, with and without a schema.
import assert from 'node:assert/strict'
import { Transform } from 'node:stream'
import test from 'node:test'
import { Type } from 'typebox'
import { buildApp, event, hint, listen, request, sendBatch } from './support.ts'

const TEXTS = [
  '',
  'hi',
  '[lol] hi',
  '{',
  '"x"',
  '42',
  '{"n":1.0}',
  ' {"a" : 1}\n',
  '\ufeff',
  '\ufeff{}',
  'null',
  'a\0b',
  'a\u2028b',
  'naïve 😀',
  '%20',
  '{"__proto__":1}',
  '\r\n',
  '\\ud800',
  'x'.repeat(70_000),
]
const BINARIES = [[], [0], [0xff, 0xfe, 0x80], [0x68, 0x69], [0xef, 0xbb, 0xbf]].map((bytes) => Buffer.from(bytes))

test('without schema.message every frame comes back byte for byte, alone and in a batch', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/echo', { message: (request) => request.body })
  const port = await listen(app)
  const frames = [...TEXTS, ...BINARIES]
  const events = frames.map((frame, i) => event('message', '/ws/echo', frame, { 'ce-id': `c${i}/1` }))
  const lines = await sendBatch(
    port,
    events.map(({ url, headers, payload }) => ({
      path: url,
      headers,
      ...(Buffer.isBuffer(payload) ? { body_base64: payload.toString('base64') } : { body: payload }),
    })),
  )
  for (const { headers, payload = '', url } of events) {
    const text = typeof payload === 'string'
    const alone = await request(port, { path: url, headers }, payload)
    assert.equal(alone.status, 200)
    assert.deepEqual(alone.body, Buffer.from(payload as string))
    assert.equal(alone.headers['content-type'], text ? 'text/plain; charset=utf-8' : 'application/octet-stream')
    const line = lines.get(headers['ce-id'])
    assert.equal(line?.headers['content-type'], alone.headers['content-type'])
    const empty = payload.length === 0
    assert.deepEqual(
      [line?.body, line?.body_base64],
      empty ? [undefined, undefined] : text ? [payload, undefined] : [undefined, payload.toString('base64')],
    )
  }
})

test('with schema.message a text frame is JSON, whatever its content type says', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    schema: { message: Type.Object({ n: Type.Integer() }) },
    message: async (request) => ({ next: request.body.n + 1 }),
  })
  for (const type of ['application/json', 'text/plain; charset=utf-8', 'application/x-www-form-urlencoded']) {
    const answer = await app.inject(event('message', '/ws/x', '{"n":1}', { 'content-type': type }))
    assert.deepEqual([answer.statusCode, answer.body], [200, '{"next":2}'], type)
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  }
})

test('null is JSON like any other', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { schema: { message: Type.Null() }, message: async (request) => JSON.stringify(request.body) })
  assert.equal((await app.inject(event('message', '/ws/x', 'null'))).body, 'null')
})

test('a frame that is no JSON is a 400 that says what was expected, and keeps the connection', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { schema: { message: Type.Object({}) }, message: async () => 'not reached' })
  for (const text of ['', 'hi', '{', '{"a":1}}', '{"__proto__":{}}']) {
    const answer = await app.inject(event('message', '/ws/x', text))
    assert.equal(answer.statusCode, 400, text)
    assert.match(
      answer.json().message,
      /^expected a text frame holding JSON, got (an empty frame|something else: .|JSON with a forbidden key)/,
    )
    assert.notEqual(answer.headers.connection, 'close')
  }
  const binary = await app.inject(event('message', '/ws/x', Buffer.from('{}')))
  assert.match(binary.json().message, /got a binary frame/)
})

test('a frame that does not fit the schema is a 400 with the place', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    schema: { message: Type.Object({ text: Type.String({ minLength: 1 }) }) },
    message: async () => 'not reached',
  })
  assert.equal(
    (await app.inject(event('message', '/ws/x', '{"text":""}'))).json().message,
    'body/text must NOT have fewer than 1 characters',
  )
})

test('schema.reply serialises: fields it does not name stay behind', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    schema: { reply: Type.Object({ id: Type.Integer() }) },
    message: async () => ({ id: 1, secret: 'x' }),
  })
  assert.equal((await app.inject(event('message', '/ws/x', 'hi'))).body, '{"id":1}')
})

test('what a message returns makes the frame', async (t) => {
  const app = await buildApp(t)
  const answers = new Map<string, unknown>([
    ['nothing', undefined],
    ['empty text', ''],
    ['text', 'hi'],
    ['number', 42],
    ['array', [1]],
    ['bytes', Buffer.from([1])],
    ['no bytes', Buffer.alloc(0)],
  ])
  app.ws('/ws/x', { message: (request) => answers.get(String(request.body)) })
  const results = await Promise.all([...answers.keys()].map((name) => app.inject(event('message', '/ws/x', name))))
  assert.deepEqual(
    results.map(({ body, headers }) => [body, headers['content-type']]),
    [
      ['', undefined],
      ['', 'text/plain; charset=utf-8'],
      ['hi', 'text/plain; charset=utf-8'],
      ['42', 'application/json; charset=utf-8'],
      ['[1]', 'application/json; charset=utf-8'],
      ['\u0001', 'application/octet-stream'],
      ['', 'application/octet-stream'],
    ],
  )
})

test('what returns nothing says no content type, so that it is no empty frame', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    message: (request, reply) => {
      reply.type('text/plain')
      return request.body === 'null' ? null : undefined
    },
  })
  for (const text of ['null', 'undefined']) {
    const answer = await app.inject(event('message', '/ws/x', text))
    assert.deepEqual([answer.statusCode, answer.body, answer.headers['content-type']], [200, '', undefined])
  }
})

test('an empty frame without a content type is an empty string', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { message: async (request) => JSON.stringify(request.body) })
  assert.equal((await app.inject(event('message', '/ws/x'))).body, '""')
})

test('a preParsing hook can change the frame, alone and in a batch', async (t) => {
  const app = await buildApp(t)
  const upper = () => new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) })
  app.ws('/ws/x', {
    preParsing: async (_request, _reply, payload) => payload.pipe(upper()),
    message: async (request) => request.body,
  })
  const port = await listen(app)
  const { url, headers, payload } = event('message', '/ws/x', 'hi')
  assert.equal((await request(port, { path: url, headers }, payload)).body.toString(), 'HI')
  assert.equal((await sendBatch(port, [{ path: url, headers, body: payload }])).get('c1/1')?.body, 'HI')
})

test('other routes keep their own parsers', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { message: (request) => request.body })
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, `mine: ${body}`),
  )
  app.post('/plain', async (request) => request.body)
  assert.equal(
    (await app.inject({ method: 'POST', url: '/plain', headers: { 'content-type': hint('{}') }, payload: '{}' })).body,
    'mine: {}',
  )
  assert.equal((await app.inject(event('message', '/ws/x', '{}'))).body, '{}')
})
