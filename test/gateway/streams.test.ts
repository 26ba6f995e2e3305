/** Answers that stream: what the client gets while they are made, and how they end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import websocket from '../../plugin/index.ts'
import {
  type BareEvent,
  type BareHandler,
  messages,
  NO_CONTENT,
  response,
  startBareHandler,
} from '../support/bare-handler.ts'
import { type Client, open } from '../support/client.ts'
import { askSocket, type Gateway, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { until } from '../support/wait.ts'

const LINES = 'content-type: application/x-ndjson\r\n'
const EVENTS = 'content-type: text/event-stream\r\n'
const PIECES = 'content-type: text/plain\r\nws-stream: 1\r\n'

const END = '0\r\n\r\n'

const chunk = (bytes: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${Buffer.byteLength(bytes).toString(16)}\r\n`), Buffer.from(bytes), Buffer.from('\r\n')])

const head = (headers: string): string => `HTTP/1.1 200 OK\r\n${headers}transfer-encoding: chunked\r\n\r\n`

/** One answer that a test writes by hand. */
type Answer = { event: BareEvent; socket: Socket }

type Setup = { gateway: Gateway; handler: BareHandler; answers: Answer[]; next: () => Promise<Answer> }

/** A gateway whose handler leaves messages to the test; `echo …` is answered. */
async function setUp(t: TestContext, env: Record<string, string> = {}): Promise<Setup> {
  const locations = 'location /ws/cached/ { set $ws_cache on; include socket.conf; }'
  const gateway = await startGateway(t, { handler: false, locations, env: { WORKERS: '1', ...env } })
  const answers: Answer[] = []
  let taken = 0
  const handler = await startBareHandler(t, gateway.handlerSocket, (event, socket) => {
    if (event.kind !== 'message') socket.write(NO_CONTENT)
    else if (event.body.startsWith('echo')) socket.write(response(event.body))
    else answers.push({ event, socket })
  })
  const next = () => until('the handler has the message', () => answers[taken] && answers[taken++])
  return { gateway, handler, answers, next }
}

const waiting = async (gateway: Gateway): Promise<number> => (await samples(gateway)).outbox_bytes!

async function ask(setup: Setup, client: Client): Promise<Answer> {
  client.socket.send('stream')
  return setup.next()
}

test('each line, event or piece is a frame while the stream is made', async (t) => {
  const setup = await setUp(t)
  const client = await open(`${setup.gateway.ws}/ws/any`)
  const { socket } = await ask(setup, client)
  socket.write(head(LINES))
  socket.write(chunk('{"a":1}\n{"b"'))
  assert.equal(await client.next(), '{"a":1}')
  socket.write(chunk(':2}\n\n"las'))
  assert.equal(await client.next(), '{"b":2}')
  socket.write(Buffer.concat([chunk('t"'), Buffer.from(END)]))
  assert.equal(await client.next(), '"last"')

  const events = await ask(setup, client)
  events.socket.write(head(EVENTS))
  events.socket.write(chunk('data: one\n\n: comment\n\ndata: two\ndata: lines\n\ndata: cut'))
  assert.equal(await client.next(), 'one')
  assert.equal(await client.next(), 'two\nlines')
  events.socket.write(END)

  const pieces = await ask(setup, client)
  pieces.socket.write(head(PIECES))
  for (const piece of ['one\n', 'two', 'x'.repeat(100_000)]) {
    pieces.socket.write(chunk(piece))
    assert.equal(await client.next(), piece)
  }
  pieces.socket.write(END)

  const binary = await ask(setup, client)
  binary.socket.write(head('ws-stream: 1\r\ncontent-type: application/octet-stream\r\n'))
  binary.socket.write(chunk(Buffer.from([255, 0, 10])))
  assert.deepEqual(await client.next(), Buffer.from([255, 0, 10]))
  binary.socket.write(END)
  assert.equal(await client.ask('echo'), 'echo')
  await client.close()
})

test('a piece of text is cut only between characters', async (t) => {
  const setup = await setUp(t)
  const client = await open(`${setup.gateway.ws}/ws/any`)
  const { socket } = await ask(setup, client)
  const text = Buffer.from('ü😀!')
  socket.write(head(PIECES))
  socket.write(chunk(text.subarray(0, 4)))
  assert.equal(await client.next(), 'ü')
  socket.write(chunk(text.subarray(4)))
  assert.equal(await client.next(), '😀!')
  socket.write(Buffer.concat([chunk(text.subarray(0, 1)), Buffer.from(END)]))
  assert.match((await client.json()).message, /inside a character/)
  assert.equal(await client.ask('echo'), 'echo')
  await client.close()
})

test('10,000 pieces come in order, and the next message waits for the end', async (t) => {
  const setup = await setUp(t)
  const client = await open(`${setup.gateway.ws}/ws/any`)
  const { socket } = await ask(setup, client)
  client.socket.send('echo behind')
  const pieces = Array.from({ length: 10_000 }, (_, i) => `piece ${i}`)
  socket.write(head(PIECES))
  socket.write(Buffer.concat(pieces.map(chunk)))
  for (const piece of pieces) assert.equal(await client.next(), piece)
  socket.write(END)
  assert.equal(await client.next(), 'echo behind')
  await client.close()
})

test('what the head asks for is done at the start, and a close at the end', async (t) => {
  const setup = await setUp(t)
  const client = await open(`${setup.gateway.ws}/ws/any`)
  const { socket, event } = await ask(setup, client)
  socket.write(head(`${LINES}ws-state: s1\r\nws-user: ada\r\nws-subscribe: news\r\nws-close: 4001 done\r\n`))
  const id = /ce-connectionid: (\S+)/.exec(event.head)![1]
  await until('the user is named', async () => {
    const { body } = await askSocket(`/connections/${id}`, `${setup.gateway.run}/control/control.sock`)
    return body.includes('"ada"') && body.includes('"news"')
  })
  socket.write(chunk('1\n'))
  assert.equal(await client.next(), '1')
  socket.write(Buffer.concat([chunk('2\n'), Buffer.from(END)]))
  assert.equal(await client.next(), '2')
  assert.deepEqual(await client.closed, { code: 4001, reason: 'done' })
  const close = await setup.handler.seen('close')
  assert.match(close.head, /ce-state: s1\r\n/)
})

test('a stream that breaks, stalls or is malformed ends with an error frame, and the socket stays', async (t) => {
  const setup = await setUp(t, { HANDLER_TIMEOUT: '1s', STREAM_TIMEOUT: '2s', MAX_ANSWER_BYTES: '1k' })
  const client = await open(`${setup.gateway.ws}/ws/any`)
  const cases: Array<[string, number, RegExp, (socket: Socket) => void]> = [
    ['breaks', 502, /stream broke/, (socket) => socket.destroySoon()],
    ['stalls', 504, /next piece/, () => {}],
    ['is no UTF-8', 502, /UTF-8/, (socket) => socket.write(chunk(Buffer.from([255, 10])))],
    ['has a line that is too long', 502, /MAX_ANSWER_BYTES/, (socket) => socket.write(chunk('x'.repeat(2000)))],
    ['is no chunk', 502, /chunk/, (socket) => socket.write('zz\r\n')],
  ]
  for (const [name, status, message, spoil] of cases) {
    const { socket, event } = await ask(setup, client)
    const closed = once(socket, 'close')
    socket.write(head(LINES))
    socket.write(chunk('1\n'))
    assert.equal(await client.next(), '1')
    spoil(socket)
    const error = await client.json()
    assert.deepEqual([error.statusCode, error.id], [status, event.id], name)
    assert.match(error.message, message)
    await closed
  }
  const { socket } = await ask(setup, client)
  const ended = once(socket, 'close')
  socket.write(head(LINES))
  const pace = setInterval(() => socket.write(chunk('1\n')), 50)
  t.after(() => clearInterval(pace))
  let frame: string
  do frame = String(await client.next())
  while (frame === '1')
  assert.match(frame, /STREAM_TIMEOUT/)
  await ended
  assert.equal(await client.ask('echo'), 'echo')
  assert.deepEqual(
    setup.answers.map(({ event }) => event.id).sort(),
    [...new Set(setup.answers.map(({ event }) => event.id))].sort(),
    'none is sent twice',
  )
  await client.close()
})

test('a client that leaves, by a close frame or without one, aborts the request', async (t) => {
  const setup = await setUp(t)
  for (const leave of [(client: Client) => client.socket.close(4000), (client: Client) => client.socket.terminate()]) {
    const client = await open(`${setup.gateway.ws}/ws/any`)
    const { socket } = await ask(setup, client)
    socket.write(head(LINES))
    socket.write(chunk('1\n'))
    assert.equal(await client.next(), '1')
    const closed = once(socket, 'close')
    const began = performance.now()
    leave(client)
    await closed
    assert.ok(performance.now() - began < 10_000, 'long before HANDLER_TIMEOUT')
    await client.closed
  }
  const early = await open(`${setup.gateway.ws}/ws/any`)
  const { socket } = await ask(setup, early)
  early.socket.terminate()
  const closed = once(socket, 'close')
  socket.write(head(LINES))
  await closed
  await until('all close events came', () => setup.handler.events.filter(({ kind }) => kind === 'close').length === 3)
  assert.doesNotMatch(setup.gateway.log(), /no answer|broke/)
})

test('a client that does not read stops the stream, in bounded memory', async (t) => {
  const setup = await setUp(t, { OUTBOX_BYTES: '64k' })
  const client = await open(`${setup.gateway.ws}/ws/any`)
  const { socket } = await ask(setup, client)
  client.socket.pause()
  socket.write(head(LINES))
  const line = `${'x'.repeat(999)}\n`
  const block = chunk(line.repeat(64))
  let blocks = 0
  while (blocks < 500) {
    blocks++
    if (!socket.write(block)) {
      const drained = await Promise.race([
        once(socket, 'drain').then(() => true),
        until('the handler is stopped', async () => (await waiting(setup.gateway)) > 65536).then(() => false),
      ])
      if (!drained) break
    }
  }
  assert.ok(blocks < 500, 'the handler could write all of it')
  assert.ok((await waiting(setup.gateway)) < 65536 + 65536)
  client.socket.resume()
  for (let i = 0; i < blocks * 64; i++) assert.equal((await client.next()).length, 999)
  socket.write(END)
  assert.equal(await client.ask('echo'), 'echo')
  await client.close()
})

test('streams have lanes of their own: one too many is refused, and other events go on', async (t) => {
  const setup = await setUp(t, { HANDLER_CONCURRENCY: '2', STREAM_CONCURRENCY: '3' })
  const clients = await Promise.all(Array.from({ length: 4 }, () => open(`${setup.gateway.ws}/ws/any`)))
  const answers = []
  for (const client of clients.slice(0, 3)) {
    const answer = await ask(setup, client)
    answer.socket.write(head(LINES))
    answer.socket.write(chunk('1\n'))
    assert.equal(await client.next(), '1')
    answers.push(answer)
  }
  const last = clients[3]!
  assert.equal((await samples(setup.gateway)).streams, 3)
  const refused = await ask(setup, last)
  const closed = once(refused.socket, 'close')
  refused.socket.write(head(LINES))
  const error = await last.json()
  assert.deepEqual([error.statusCode, error.id], [503, refused.event.id])
  assert.match(error.message, /STREAM_CONCURRENCY/)
  await closed
  for (let i = 0; i < 20; i++) assert.equal(await last.ask('echo'), 'echo')
  for (const { socket } of answers) socket.write(END)
  await until('a place is free', async () => (await samples(setup.gateway)).streams === 0)
  const again = await ask(setup, last)
  again.socket.write(head(LINES))
  again.socket.write(chunk('1\n'))
  assert.equal(await last.next(), '1')
  again.socket.write(END)
  await Promise.all(clients.map((client) => client.close()))
})

test('a stream is not kept for equal messages, and those that wait for it go when it begins', async (t) => {
  const setup = await setUp(t)
  const [first, second] = await Promise.all([1, 2].map(() => open(`${setup.gateway.ws}/ws/cached/a`)))
  const one = await ask(setup, first!)
  second!.socket.send('stream')
  await until('it waits', async () => (await samples(setup.gateway))['cache_messages_total{result="wait"}'] === 1)
  one.socket.write(head(`${LINES}cache-control: public, max-age=60\r\n`))
  const two = await setup.next()
  two.socket.write(head(LINES))
  two.socket.write(Buffer.concat([chunk('2\n'), Buffer.from(END)]))
  assert.equal(await second!.next(), '2')
  one.socket.write(Buffer.concat([chunk('1\n'), Buffer.from(END)]))
  assert.equal(await first!.next(), '1')
  const three = await ask(setup, second!)
  three.socket.write(response('3'))
  assert.equal(await second!.next(), '3')
  await Promise.all([first!.close(), second!.close()])
})

test('an event that its handler wants alone comes again, singly and under the same id', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const inBatches = new Set<string>()
  const alone = new Map<string, number>()
  const answer = messages((event, socket) => {
    if (event.kind === 'message') {
      alone.set(event.id, (alone.get(event.id) ?? 0) + 1)
      return void socket.write(Buffer.concat([Buffer.from(head(LINES)), chunk('1\n2\n'), Buffer.from(END)]))
    }
    const ids = (JSON.parse(event.body) as Array<{ headers: Record<string, string> }>).map(
      ({ headers }) => headers['ce-id']!,
    )
    for (const id of ids) inBatches.add(id)
    socket.write(response(ids.map((id) => `{"id":"${id}","alone":true}\n`).join(''), LINES))
  }, true)
  await startBareHandler(t, gateway.handlerSocket, answer)
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/any`)))
  do {
    for (const client of clients) client.socket.send('stream')
    for (const client of clients) {
      assert.equal(await client.next(), '1')
      assert.equal(await client.next(), '2')
    }
  } while (inBatches.size === 0)
  for (const id of inBatches) if (!id.endsWith('/close')) assert.equal(alone.get(id), 1, id)
  await Promise.all(clients.map((client) => client.close()))
})

test('a generator of the plugin: frames as they were yielded, also beside batches, and an end when the client leaves', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const app = Fastify({ forceCloseConnections: true })
  t.after(() => app.close())
  await app.register(websocket)
  const tokens = ['Grüße,\n', ' "you"\r\n', '😀', '\n']
  let isAborted = false
  app.ws('/ws/mixed', {
    message: (request) => (request.body === 'plain' ? 'plain' : all()),
  })
  async function* all(): AsyncGenerator<string> {
    yield* tokens
  }
  app.ws('/ws/endless', {
    async *message(_request, reply) {
      yield 'first'
      await once(reply.signal, 'abort')
      isAborted = true
    },
  })
  await app.listen({ path: gateway.handlerSocket })
  const clients = await Promise.all(Array.from({ length: 30 }, () => open(`${gateway.ws}/ws/mixed`)))
  const wereInBatches = async (): Promise<boolean> => {
    const all = await samples(gateway)
    return all['request_events_bucket{le="1"}']! < all.request_events_count!
  }
  for (let round = 0; round < 10 || (round < 200 && !(await wereInBatches())); round++) {
    for (const [i, client] of clients.entries()) client.socket.send(i % 2 ? 'plain' : 'stream')
    for (const [i, client] of clients.entries())
      for (const frame of i % 2 ? ['plain'] : tokens) assert.equal(await client.next(), frame)
  }
  assert.ok(await wereInBatches(), 'some came in a batch')
  const client = await open(`${gateway.ws}/ws/endless`)
  assert.equal(await client.ask('x'), 'first')
  client.socket.terminate()
  await until('the handler notices', () => isAborted)
  await Promise.all(clients.map((client) => client.close()))
})
