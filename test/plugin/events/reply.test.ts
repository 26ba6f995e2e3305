// `Reply` of framegate/events: the same effects as Fastify's reply, as a response of any kind.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import {
  Close,
  type EventHandler,
  HttpError,
  type NodeRequest,
  Reply,
  type ReplyEffects,
  readEvent,
  toNodeHandler,
  toWebHandler,
} from '../../../plugin/events/index.ts'
import { buildApp, event, type Kind } from '../support.ts'

const EFFECTS = 'application/vnd.framegate.effects+json'

function webRequest(kind: Kind, frame?: string): Request {
  const { url, method, headers } = event(kind, '/ws/x', frame, { 'ce-state': 'before' })
  return new Request(`http://handler${url}`, { method, headers, ...(frame !== undefined && { body: frame }) })
}

interface Seen {
  status: number
  headers: Record<string, unknown>
  body: string
}

/** The `content-type` and `ws-*` headers of an answer, and its body. */
function seen(status: number, headers: Iterable<[string, unknown]>, body: string): Seen {
  const shown = [...headers].filter(([name]) => name === 'content-type' || name.startsWith('ws-'))
  return { status, headers: Object.fromEntries(shown.filter(([name]) => name !== 'ws-batch').sort()), body }
}

async function byWeb(handler: EventHandler, kind: Kind, frame?: string): Promise<Seen> {
  const response = await toWebHandler((received, reply) => handler(received, reply))(webRequest(kind, frame))
  return seen(response.status, response.headers, await response.text())
}

async function byNode(handler: EventHandler, kind: Kind, frame?: string): Promise<Seen> {
  const { headers } = event(kind, '/ws/x', frame, { 'ce-state': 'before' })
  const sent = new Map<string, unknown>()
  let body = ''
  const response = {
    statusCode: 0,
    setHeader: (name: string, value: string) => sent.set(name, value),
    end: (data: string | Buffer = '') => {
      body = String(data)
    },
  }
  const listener = toNodeHandler((received, reply) => handler(received, reply))
  await listener({ headers, body: frame } as unknown as NodeRequest, response as unknown as ServerResponse)
  return seen(response.statusCode, sent, body)
}

async function byFastify(t: TestContext, handler: EventHandler, kind: Kind, frame?: string): Promise<Seen> {
  const app = await buildApp(t)
  const run = async (request: any, reply: any) => (await handler(request.event, reply)) as any
  app.ws('/ws/x', { open: run, message: run, alarm: run, close: run })
  const answer = await app.inject(event(kind, '/ws/x', frame, { 'ce-state': 'before' }))
  return seen(answer.statusCode, Object.entries(answer.headers), answer.body)
}

/** Every kind of effect and their order; what they do is tested in ../effects.test.ts. */
const CASES: Array<[what: string, kind: Kind, handler: (reply: ReplyEffects) => unknown]> = [
  ['nothing', 'message', () => undefined],
  ['a text', 'message', () => 'Grüße'],
  ['an empty text', 'message', () => ''],
  ['headers beside a frame', 'message', (reply) => void reply.subscribe('a', 'b,c').unsubscribe('d').alarm(0.5)],
  ['kept frames', 'open', (reply) => void reply.subscribe('a', { after: 'p;1', else: 'last', last: 5 })],
  ['a user and a state', 'open', (reply) => void Object.assign(reply, { user: 'Zoë', state: 'a "%"' })],
  ['a close', 'message', (reply) => reply.close(4001, 'so long, Zoë') && 'bye'],
  ['a publication', 'message', (reply) => reply.publish('a', { n: 1 }, { except: 'self', replace: 'k' }) && 'ok'],
  [
    'frames',
    'message',
    (reply) =>
      void reply
        .frame('one')
        .frame(Buffer.from([0xff]))
        .close(1000),
  ],
  ['more than headers hold', 'message', (reply) => void Object.assign(reply, { state: 'x'.repeat(3000) })],
  ['the state before', 'message', (reply) => `${reply.state}${Object.assign(reply, { state: null }).state}`],
  ['a Close', 'message', (reply) => raise(reply.publish('a', 'b') && new Close(4401, 'sign in'))],
  ['a Close at open', 'open', () => raise(new Close(4401, 'sign in'))],
]

function raise(error: Error): never {
  throw error
}

for (const [what, kind, handler] of CASES) {
  test(`an answer with ${what} is the same from Fastify, Node and a Web handler`, async (t) => {
    const run: EventHandler = (_event, reply) => handler(reply) as string
    const frame = kind === 'message' ? 'hi' : undefined
    const web = await byWeb(run, kind, frame)
    const fastify = await byFastify(t, run, kind, frame)
    // Fastify answers nothing with 200, and adds the code FST to the errors of its own.
    assert.deepEqual({ ...web, status: web.status === 204 ? 200 : web.status }, fastify)
    assert.deepEqual(await byNode(run, kind, frame), web)
  })
}

test('bytes are a binary frame, and what JSON can hold is a text frame', async () => {
  const binary = await toWebHandler(() => new Uint8Array([0xff, 1]))(webRequest('message', 'hi'))
  assert.equal(binary.headers.get('content-type'), 'application/octet-stream')
  assert.deepEqual(Buffer.from(await binary.arrayBuffer()), Buffer.from([0xff, 1]))
  assert.deepEqual(await byWeb(() => ({ a: 1 }), 'message', 'hi'), {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: '{"a":1}',
  })
})

test('an error with a status is the answer, and refuses an open without effects', async () => {
  const refuse: EventHandler = (_event, reply) => {
    reply.subscribe('a').publish('a', 'b')
    throw new HttpError(403, 'log in first')
  }
  const error = '{"statusCode":403,"error":"Forbidden","message":"log in first"}'
  const type = 'application/json; charset=utf-8'
  assert.deepEqual(await byWeb(refuse, 'open'), { status: 403, headers: { 'content-type': type }, body: error })
  const message = await byNode(refuse, 'message', 'hi')
  assert.deepEqual([message.status, message.headers['content-type']], [403, EFFECTS])
  assert.deepEqual(JSON.parse(message.body).effects.at(-1), { send: { text: error } })
})

test('a request that is no event is answered with 400 and the standard error', async () => {
  const response = await toWebHandler(() => 'never')(new Request('http://handler/'))
  const { statusCode, error, message } = (await response.json()) as Record<string, unknown>
  assert.deepEqual([response.status, statusCode, error], [400, 400, 'Bad Request'])
  assert.match(String(message), /^expected an event of framegate, .*; got a request without it$/)
})

test('an unexpected error goes to next, to whoever awaits, or to stderr, and never to the client', async (t) => {
  const secret = new Error('the password is hunter2')
  const fail = (): never => raise(secret)
  await assert.rejects(toWebHandler(fail)(webRequest('open')), secret)
  const passed: unknown[] = []
  const { headers } = event('open', '/ws/x')
  const request = { headers } as unknown as NodeRequest
  await toNodeHandler(fail)(request, {} as ServerResponse, (error) => passed.push(error))
  assert.deepEqual(passed, [secret])
  const stderr = t.mock.method(console, 'error', () => {})
  const { status, body } = await byNode(fail, 'message', 'hi')
  assert.deepEqual(
    stderr.mock.calls.map(({ arguments: [error] }) => error),
    [secret],
  )
  assert.deepEqual([status, JSON.parse(body).message], [500, 'the handler failed'])
  assert.match(String(new Reply(await readEvent(webRequest('open'))).answerError(secret).body), /the handler failed/)
})

test('effects are checked as they are collected, and errors of theirs are the handler’s', async () => {
  const reply = new Reply(await readEvent(webRequest('open')))
  assert.throws(() => reply.subscribe(''), RangeError)
  assert.throws(() => reply.close(1001), RangeError)
  // @ts-expect-error a user is a string
  assert.throws(() => Object.assign(reply, {}) && (reply.user = 7), TypeError)
  assert.deepEqual(reply.answer(), { status: 204, headers: {}, body: null })
})

test('headers of its own and a session stand beside effects of both forms, and a session begins at open', async () => {
  const open = await readEvent(webRequest('open'))
  const reply = new Reply(open).header('Set-Cookie', 'a=1').session({ keep: '2m', notify: true })
  const own = { 'set-cookie': 'a=1', 'ws-session': '120;notify' }
  assert.deepEqual(reply.answer(), { status: 204, headers: own, body: null })
  assert.deepEqual(reply.frame('one').answer().headers, { ...own, 'content-type': EFFECTS })
  assert.equal(new Reply(open).session({ keep: 60, check: true }).answer().headers['ws-session'], '60;check')
  assert.equal(new Reply(open).session('90s').answer().headers['ws-session'], '90')
  assert.throws(() => new Reply(open).session('0s'), TypeError)
  const message = new Reply(await readEvent(webRequest('message', 'hi')))
  assert.throws(() => message.session('2m'), /a session begins with the answer to open, got message/)
})

test('a Web handler gets what its framework passes behind the request', async () => {
  const POST = toWebHandler(async (_event, _reply, request, context: { params: Promise<{ room: string }> }) => {
    return `${(await context.params).room} ${new URL(request.url).pathname}`
  })
  const response = await POST(webRequest('message', 'hi'), { params: Promise.resolve({ room: 'lobby' }) })
  assert.equal(await response.text(), 'lobby /ws/x')
})
