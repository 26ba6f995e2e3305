/** Async generators as message handlers: what they answer, alone, in a batch, and when they fail. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Type } from 'typebox'
import { batchRequest, buildApp, event, listen, request, sendBatch } from './support.ts'

async function* words() {
  yield 'one\n'
  yield ''
  yield 'twö'
}

const MESSAGE = { 'ce-type': 'framegate.message' }

/** Asks over a real connection, and returns the response when its head is there. */
async function begin(port: number, path: string): Promise<http.IncomingMessage> {
  const outgoing = http.request({ port, path, method: 'POST', headers: MESSAGE })
  outgoing.end('question')
  return ((await once(outgoing, 'response')) as [http.IncomingMessage])[0]
}

test('a generator of strings or bytes streams pieces, and one of anything else lines of JSON', async (t) => {
  const app = await buildApp(t)
  app.ws('/strings', { message: words })
  app.ws('/bytes', {
    async *message() {
      yield Buffer.from([1])
      yield new Uint8Array([2, 3])
    },
  })
  app.ws('/json', {
    schema: { reply: Type.Object({ token: Type.String() }) },
    async *message() {
      yield { token: 'a\n', secret: 1 }
      yield { token: 'b' }
    },
  })
  const strings = await app.inject(event('message', '/strings', 'x'))
  assert.equal(strings.headers['content-type'], 'text/plain; charset=utf-8')
  assert.equal(strings.headers['ws-stream'], '1')
  assert.equal(strings.body, 'one\ntwö')
  const bytes = await app.inject(event('message', '/bytes', 'x'))
  assert.deepEqual([bytes.headers['content-type'], bytes.headers['ws-stream']], ['application/octet-stream', '1'])
  assert.deepEqual(bytes.rawPayload, Buffer.from([1, 2, 3]))
  const json = await app.inject(event('message', '/json', 'x'))
  assert.deepEqual([json.headers['content-type'], json.headers['ws-stream']], ['application/x-ndjson', undefined])
  assert.equal(json.body, '{"token":"a\\n"}\n{"token":"b"}\n', 'written by the schema')
})

test('each frame leaves when it is yielded', async (t) => {
  const app = await buildApp(t)
  let go = (): void => {}
  app.ws('/slow', {
    async *message() {
      yield 'first'
      await new Promise<void>((resolve) => (go = resolve))
      yield 'second'
    },
  })
  const port = await listen(app)
  const response = await begin(port, '/slow')
  assert.equal(String((await once(response, 'data'))[0]), 'first')
  const ended = once(response, 'end')
  go()
  assert.equal(String((await once(response, 'data'))[0]), 'second')
  await ended
})

test('a generator that yields nothing, or throws before its first frame, is an answer like any other', async (t) => {
  const app = await buildApp(t)
  app.ws('/nothing', { async *message() {} })
  app.ws('/throws', {
    // biome-ignore lint/correctness/useYield: it does not come to that
    async *message() {
      throw Object.assign(new Error('no'), { statusCode: 422 })
    },
  })
  const nothing = await app.inject(event('message', '/nothing', 'x'))
  assert.deepEqual([nothing.statusCode, nothing.body, nothing.headers['content-type']], [200, '', undefined])
  const throws = await app.inject(event('message', '/throws', 'x'))
  assert.deepEqual([throws.statusCode, throws.json().message], [422, 'no'])
})

test('effects before the first frame are in the head; those that need a document, or come later, are errors', async (t) => {
  const app = await buildApp(t)
  app.ws('/before', {
    async *message(_request, reply) {
      reply.subscribe('news').close(4001, 'done')
      reply.state = 's'
      yield 'x'
    },
  })
  app.ws('/publish', {
    async *message(_request, reply) {
      reply.publish('news', 'x')
      yield 'x'
    },
  })
  let late: unknown
  app.ws('/late', {
    async *message(_request, reply) {
      yield 'x'
      try {
        reply.state = 'late'
      } catch (error) {
        late = error
      }
    },
  })
  const { headers } = await app.inject(event('message', '/before', 'x'))
  assert.deepEqual([headers['ws-subscribe'], headers['ws-state'], headers['ws-close']], ['news', 's', '4001 done'])
  const publish = await app.inject(event('message', '/publish', 'x'))
  assert.deepEqual([publish.statusCode, publish.headers['ws-stream']], [500, undefined])
  assert.match(publish.body, /takes no publish/)
  assert.equal((await app.inject(event('message', '/late', 'x'))).body, 'x')
  assert.match(String(late), /before its first frame/)
})

test('a stream that fails breaks off', async (t) => {
  const app = await buildApp(t)
  app.ws('/throws', {
    async *message() {
      yield 'x'
      throw new Error('later')
    },
  })
  app.ws('/mixed', {
    async *message() {
      yield 'x'
      yield { other: 'type' }
    },
  })
  const port = await listen(app)
  await assert.rejects(request(port, { path: '/throws', headers: MESSAGE }), { code: 'ECONNRESET' })
  await assert.rejects(request(port, { path: '/mixed', headers: MESSAGE }), { code: 'ECONNRESET' })
})

let gone = false

/** Begins a stream, leaves after the first frame, and returns when the handler has ended. */
async function leave(t: TestContext, message: (reply: any, ended: () => void) => any): Promise<void> {
  gone = false
  const app = await buildApp(t)
  let ended = (): void => {}
  const end = new Promise<void>((resolve) => (ended = resolve))
  app.ws('/endless', { message: (_request, reply) => message(reply, ended) })
  const port = await listen(app)
  const response = await begin(port, '/endless')
  await once(response, 'data')
  gone = true
  response.destroy()
  await end
}

test('when the client leaves, the generator ends at its next frame', (t) =>
  leave(t, async function* (_reply, ended) {
    try {
      while (true) {
        yield 'x'
        await delay(1)
      }
    } finally {
      ended()
    }
  }))

test('when the client leaves, reply.signal ends a wait for the next frame', (t) =>
  leave(t, async function* (reply, ended) {
    const { signal } = reply
    yield 'x'
    await delay(60_000, undefined, { signal }).catch(() => gone && ended())
  }))

test('in a batch nothing runs, and the event is asked for alone', async (t) => {
  const app = await buildApp(t)
  let runs = 0
  app.ws('/some', {
    message(request) {
      if (request.body === 'plain') return 'plain'
      return (async function* () {
        runs++
        yield 'x'
      })()
    },
  })
  app.ws('/later', { message: async () => words() })
  app.ws('/all', { message: words })
  const port = await listen(app)
  const element = (id: string, path: string, body: string) => ({
    path,
    headers: { 'ce-type': 'framegate.message', 'ce-id': id, 'content-type': 'text/plain' },
    body,
  })
  const lines = await sendBatch(port, [
    element('1', '/some', 'plain'),
    element('2', '/some', 'stream'),
    element('3', '/later', 'x'),
    element('4', '/all', 'x'),
  ])
  assert.equal(lines.get('1')!.body, 'plain')
  for (const id of ['2', '3', '4']) assert.deepEqual(lines.get(id), { id, alone: true })
  assert.equal(runs, 0)
  assert.equal((await app.inject(event('open', '/some'))).headers['ws-batch'], '1')
  assert.equal((await app.inject(event('open', '/all'))).headers['ws-batch'], undefined, 'all its answers stream')
  assert.equal((await request(port, batchRequest, '[]')).status, 200)
})
