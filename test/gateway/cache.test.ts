/** Locations with `set $ws_cache on;`: equal messages get one answer, and nobody gets what is somebody else's. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { type GatewayEvent, Reply } from '../../plugin/events/index.ts'
import { isListening } from '../cli/framegate.ts'
import { startApp } from '../support/app.ts'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket, type Gateway, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { type ProbeHandler, type SeenEvent, startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'

const LOCATIONS = 'location /ws/cached/ { set $ws_cache on; include socket.conf; }\n'
const PUBLIC = { 'content-type': 'text/plain', 'cache-control': 'public, max-age=60' }

type Answer = (event: SeenEvent, response: ServerResponse, turn: number) => void

type Setup = { gateway: Gateway; handler: ProbeHandler; asked: () => SeenEvent[] }

/** A gateway whose handler names users by `?user=` and states by `?state=` at open, and answers messages so. */
async function setUp(t: TestContext, answer: Answer, env: Record<string, string> = {}): Promise<Setup> {
  const port = await freePort()
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_URL: `http://127.0.0.1:${port}`, MAX_CONNECTIONS_PER_IP: 'off', ...env },
    locations: LOCATIONS,
  })
  let turn = 0
  const handler = await startProbeHandler(t, port, (event, response) => {
    if (event.type === 'framegate.message') return answer(event, response, ++turn)
    const query = new URL(event.url, 'http://a').searchParams
    if (event.type === 'framegate.open') for (const [name, value] of query) response.setHeader(`ws-${name}`, value)
    response.writeHead(204).end()
  })
  return { gateway, handler, asked: () => handler.events.filter((event) => event.type === 'framegate.message') }
}

const openAll = (urls: string[]): Promise<Client[]> => Promise.all(urls.map((url) => open(url)))

test('equal messages get one answer, in all workers, until it is stale', async (t) => {
  const { gateway, asked } = await setUp(t, (event, response, turn) => {
    const seconds = String(event.body) === 'short' ? 1 : 60
    response.writeHead(200, { ...PUBLIC, 'cache-control': `public, max-age=${seconds}` }).end(`${turn}`)
  })
  const clients = await openAll(Array.from({ length: 20 }, () => `${gateway.ws}/ws/cached/a`))
  for (const client of clients) assert.equal(await client.ask('long'), '1')
  const [first] = clients
  assert.equal(await first!.ask('short'), '2')
  await until('the answer is stale', async () => {
    const answer = await first!.ask('short')
    assert.match(String(answer), /^[23]$/)
    return answer === '3'
  })
  assert.equal(await first!.ask('long'), '1')
  assert.deepEqual(
    asked().map((event) => String(event.body)),
    ['long', 'short', 'short'],
  )
  const fresh = asked()[2]!.at - asked()[1]!.at
  assert.ok(fresh > 950, `stale after ${fresh} ms`)
  const numbers = asked().map((event) => event.headers['ce-eventnumber'])
  assert.equal(numbers[2], String(Number(numbers[1]) + 1), 'a kept answer has no event number')
  const other = await open(`${gateway.ws}/ws/a`)
  assert.equal(await other.ask('long'), '4')
  assert.equal(await other.ask('long'), '5')
})

test('1,000 sockets of one user that ask the same become one event', async (t) => {
  const held: (() => void)[] = []
  const { gateway, asked } = await setUp(t, (_event, response, turn) => {
    held.push(() => response.writeHead(200, PUBLIC).end(`answer ${turn}`))
  })
  const clients: Client[] = []
  while (clients.length < 1000)
    clients.push(...(await openAll(Array.from({ length: 50 }, () => `${gateway.ws}/ws/cached/a?user=ann&state=x`))))
  for (const client of clients) for (let i = 0; i < 2; i++) client.socket.send('all ask')
  await until('all wait', async () => (await samples(gateway))['cache_messages_total{result="wait"}'] === 999)
  held[0]!()
  for (const client of clients) for (let i = 0; i < 2; i++) assert.equal(await client.next(), 'answer 1')
  assert.equal(asked().length, 1)
  const all = await samples(gateway)
  assert.deepEqual(
    ['miss', 'wait', 'hit'].map((result) => all[`cache_messages_total{result="${result}"}`]),
    [1, 999, 1000],
  )
  const status = JSON.parse((await askSocket('/status', `${gateway.run}/control/control.sock`)).body)
  assert.deepEqual(status.cache, { hits: 1000, misses: 1, waits: 999 })
  for (const client of clients) client.socket.terminate()
})

test('an answer that is not kept, or none, lets all that wait go by themselves', async (t) => {
  const held: ServerResponse[] = []
  let isHolding = true
  const { gateway, asked } = await setUp(t, (_event, response, turn) => {
    if (isHolding) held.push(response)
    else response.writeHead(200, { 'content-type': 'text/plain' }).end(`${turn}`)
  })
  const clients = await openAll(Array.from({ length: 20 }, () => `${gateway.ws}/ws/cached/a`))
  const results: unknown[] = []
  for (const [round, end] of [
    (response: ServerResponse) => response.writeHead(200, { ...PUBLIC, 'cache-control': 'private' }).end('mine'),
    (response: ServerResponse) => response.writeHead(500, PUBLIC).end('failed'),
    (response: ServerResponse) => response.destroy(),
  ].entries()) {
    isHolding = true
    const before = asked().length
    for (const client of clients) client.socket.send(`ask ${round}`)
    const waits = 19 * (round + 1)
    await until('all wait', async () => (await samples(gateway))['cache_messages_total{result="wait"}'] === waits)
    assert.equal(asked().length, before + 1)
    isHolding = false
    end(held.pop()!)
    const answers = await Promise.all(clients.map((client) => client.next()))
    assert.equal(new Set(answers).size, 20, String(answers))
    results.push(answers.find((each) => !/^\d+$/.test(String(each))))
    assert.equal(asked().length, before + 20)
  }
  assert.deepEqual(results.slice(0, 2), ['mine', 'failed'])
  assert.match(String(results[2]), /the connection to the handler broke/)
})

test('what waits for a slow event goes by itself after HANDLER_TIMEOUT', async (t) => {
  const { gateway } = await setUp(
    t,
    (_event, response, turn) => {
      if (turn > 1) response.writeHead(200, PUBLIC).end(`${turn}`)
    },
    { HANDLER_TIMEOUT: '2s' }, // in which this process must answer all others
  )
  const clients = await openAll(Array.from({ length: 3 }, () => `${gateway.ws}/ws/cached/a`))
  for (const client of clients) client.socket.send('slow')
  const answers = await Promise.all(clients.map((client) => client.next()))
  assert.equal(answers.filter((each) => /did not answer in time/.test(String(each))).length, 1)
})

test('users, states, paths and types of message have answers of their own', async (t) => {
  const { gateway, asked } = await setUp(t, (event, response) => {
    const who = [event.url, event.headers['ce-user'], event.headers['ce-state'], event.headers['content-type']]
    response.writeHead(200, PUBLIC).end(`${who.join(' ')} ${event.body}`)
  })
  const paths = ['a', 'b', 'a?user=ann', 'a?user=bob', 'a?state=x', 'a?state=y', 'a?user=ann&state=x']
  for (let round = 0; round < 2; round++) {
    for (const path of paths) {
      const client = await open(`${gateway.ws}/ws/cached/${path}`)
      const query = new URL(path, 'http://a').searchParams
      for (const message of ['who', '{}', Buffer.from('who')]) {
        const type =
          message === 'who'
            ? 'text/plain; charset=utf-8'
            : message === '{}'
              ? 'application/json'
              : 'application/octet-stream'
        const who = [`/ws/cached/${path}`, query.get('user'), query.get('state'), type]
        assert.equal(String(await client.ask(message)), `${who.join(' ')} ${message}`)
      }
      await client.close()
    }
  }
  assert.equal(asked().length, paths.length * 3)
})

test('answers that hold more than frames, or are not public, are not kept', async (t) => {
  const effects = (list: object[]) => ({
    headers: { 'content-type': 'application/vnd.framegate.effects+json', 'cache-control': 'public, max-age=60' },
    body: JSON.stringify({ effects: [...list, { send: { text: 'x' } }] }),
  })
  const cases: Record<string, { status?: number; headers?: Record<string, string | string[]>; body?: string }> = {
    'set-cookie': { headers: { 'set-cookie': 'a=b' } },
    state: { headers: { 'ws-state': '' } },
    user: { headers: { 'ws-user': '' } },
    subscribe: { headers: { 'ws-subscribe': 'news' } },
    unsubscribe: { headers: { 'ws-unsubscribe': 'news' } },
    alarm: { headers: { 'ws-alarm': '3600' } },
    'document with state': effects([{ state: '' }]),
    'document with publish': effects([{ publish: { topic: 'news', text: 'x' } }]),
    'no cache-control': { headers: { 'cache-control': '' } },
    'not public': { headers: { 'cache-control': 'max-age=60' } },
    private: { headers: { 'cache-control': 'public, private, max-age=60' } },
    'no-store': { headers: { 'cache-control': 'public, no-store, max-age=60' } },
    'no-cache': { headers: { 'cache-control': 'public, no-cache, max-age=60' } },
    stale: { headers: { age: '60' } },
    'vary *': { headers: { vary: '*' } },
    'vary on what events do not have': { headers: { vary: 'accept-language, x-other' } },
    'status 404': { status: 404 },
    'status 500': { status: 500 },
  }
  const { gateway, asked } = await setUp(t, (event, response) => {
    const { status = 200, headers = {}, body = 'x' } = cases[String(event.body)] ?? {}
    response.writeHead(status, { ...PUBLIC, ...headers }).end(body)
  })
  const client = await open(`${gateway.ws}/ws/cached/a`)
  for (const name of Object.keys(cases)) {
    for (let i = 0; i < 2; i++) assert.equal(await client.ask(name), 'x', name)
    assert.equal(asked().filter((event) => String(event.body) === name).length, 2, name)
  }
  await client.ask('kept')
  await client.ask('kept')
  assert.equal(asked().filter((event) => String(event.body) === 'kept').length, 1)
})

test('vary distinguishes headers of the handshake', async (t) => {
  const { gateway, asked } = await setUp(
    t,
    (event, response) => {
      const { 'accept-language': language, 'x-tenant': tenant } = event.headers
      response.writeHead(200, { ...PUBLIC, vary: 'Accept-Language, X-Tenant' }).end(`${language} ${tenant}`)
    },
    { HANDSHAKE_HEADERS: 'x-tenant' },
  )
  const kinds: Record<string, string>[] = [
    { 'accept-language': 'de', 'x-tenant': '1' },
    { 'accept-language': 'de', 'x-tenant': '2' },
    { 'accept-language': 'fr', 'x-tenant': '1' },
    { 'x-tenant': '1' },
  ]
  for (let round = 0; round < 2; round++)
    for (const headers of kinds) {
      const client = await open(`${gateway.ws}/ws/cached/a`, { headers })
      assert.equal(await client.ask('hello'), `${headers['accept-language']} ${headers['x-tenant']}`)
      await client.close()
    }
  const together = await Promise.all(kinds.map((headers) => open(`${gateway.ws}/ws/cached/a`, { headers })))
  const answers = await Promise.all(together.map((client) => client.ask('together')))
  assert.deepEqual(
    answers,
    kinds.map((headers) => `${headers['accept-language']} ${headers['x-tenant']}`),
  )
  assert.equal(asked().length, 8)
})

test('who varies answers by cookies or credentials gives nobody those of another', async (t) => {
  const { gateway, asked } = await setUp(t, (event, response) => {
    const { cookie, authorization } = event.headers
    response.writeHead(200, { ...PUBLIC, vary: 'cookie, authorization' }).end(`${cookie} ${authorization}`)
  })
  const kinds: Record<string, string>[] = [
    { cookie: 'id=1' },
    { cookie: 'id=2' },
    { cookie: 'id=1', authorization: 'Bearer a' },
    { cookie: 'id=1', authorization: 'Bearer b' },
    {},
  ]
  for (let round = 0; round < 2; round++) {
    const clients = await Promise.all(
      kinds.map((headers) => open(`${gateway.ws}/ws/cached/a?user=ann&state=x`, { headers })),
    )
    const answers = await Promise.all(clients.map((client) => client.ask('who am I')))
    assert.deepEqual(
      answers,
      kinds.map(({ cookie, authorization }) => `${cookie} ${authorization}`),
    )
  }
  assert.equal(asked().length, kinds.length)
})

test('a user or a state that changes gets no answer of before', async (t) => {
  const { gateway } = await setUp(t, (event, response) => {
    const { 'ce-user': user, 'ce-state': state } = event.headers
    const [name, value] = String(event.body).split(' ')
    if (value) return void response.writeHead(204, { [`ws-${name}`]: value }).end()
    response.writeHead(200, PUBLIC).end(`${user} ${state}`)
  })
  const client = await open(`${gateway.ws}/ws/cached/a?user=ann&state=x`)
  for (const [change, answer] of [
    ['user bob', 'bob x'],
    ['state y', 'bob y'],
    ['user ann', 'ann y'],
    ['state x', 'ann x'],
  ]) {
    assert.notEqual(await client.ask('who'), answer)
    client.socket.send(change!)
    assert.equal(await client.ask('who'), answer)
  }
})

test('answers of the plugin are kept, alone and from batches, and those of framegate/events', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    locations: LOCATIONS,
    env: { MAX_CONNECTIONS_PER_IP: 'off' },
  })
  let count = 0
  await startApp(t, gateway.handlerSocket, {
    routes: (app) => {
      app.ws('/ws/cached/a', {
        message: (request, reply) => {
          reply.header('cache-control', 'public, max-age=60')
          if (request.body === 'cookie') reply.header('set-cookie', 'a=b')
          if (request.body === 'news') reply.subscribe('news')
          return { count: ++count }
        },
      })
    },
  })
  const clients = await openAll(Array.from({ length: 100 }, () => `${gateway.ws}/ws/cached/a`))
  const all = (message: string) => Promise.all(clients.map((client) => client.ask(message)))
  for (let i = 0; i < 10; i++) assert.equal(new Set(await all(`ask ${i}`)).size, 1)
  assert.equal(count, 10)
  assert.equal(new Set(await all('cookie')).size, 100)
  const [first] = clients
  assert.notEqual(await first!.ask('cookie'), await first!.ask('cookie'))
  assert.notEqual(await first!.ask('news'), await first!.ask('news'))
  const answer = new Reply({ type: 'message' } as GatewayEvent).header('cache-control', 'public, max-age=5').answer('x')
  assert.equal(answer.headers['cache-control'], 'public, max-age=5')
})

test('a session whose message waits can move to another worker', async (t) => {
  const held: ServerResponse[] = []
  const { gateway, asked } = await setUp(t, (_event, response) => void held.push(response), { WORKERS: '3' })
  const first = await open(`${gateway.ws}/ws/cached/a?session=60`)
  first.socket.send('ask')
  await until('it is asked', () => held.length === 1)
  const sessions = await Promise.all(
    Array.from({ length: 6 }, () => new SessionClient(gateway.port, '/ws/cached/a?session=60').dial()),
  )
  for (const session of sessions) {
    session.send('ask')
    session.send('other')
  }
  await until('they wait', async () => (await samples(gateway))['cache_messages_total{result="wait"}'] === 6)
  const back = sessions.map((session) => {
    session.cut()
    return session.dial()
  })
  await until(
    'they are away, or have begun to come back',
    async () => (await samples(gateway)).sessions_detached_total! >= 1,
  )
  held[0]!.writeHead(200, PUBLIC).end('answer')
  await until('the next one is asked', () => held.length === 2)
  held[1]!.writeHead(200, PUBLIC).end('another') // before all are back: a move waits for the event in flight
  await Promise.all(back)
  for (const session of sessions) {
    assert.equal(session.first.resumed, true)
    assert.equal(await session.next(), 'answer')
    assert.equal(await session.next(), 'another')
  }
  assert.equal(asked().length, 2)
})

test('a socket’s answers keep the order of its messages', async (t) => {
  const { gateway } = await setUp(t, (event, response) => {
    const headers = String(event.body).startsWith('kept') ? PUBLIC : { 'content-type': 'text/plain' }
    response.writeHead(200, headers).end(event.body)
  })
  const client = await open(`${gateway.ws}/ws/cached/a`)
  const messages = Array.from({ length: 300 }, (_, i) => (i % 3 ? `kept ${i % 5}` : `new ${i}`))
  for (const message of messages) client.socket.send(message)
  for (const message of messages) assert.equal(await client.next(), message)
})

test('a socket that ends while it waits costs no event, and gets its close event', async (t) => {
  let answer = () => {}
  const { gateway, asked, handler } = await setUp(t, (_event, response) => {
    answer = () => response.writeHead(200, PUBLIC).end('x')
  })
  const [first, ...others] = await openAll(Array.from({ length: 10 }, () => `${gateway.ws}/ws/cached/a`))
  first!.socket.send('ask')
  await handler.seen('message')
  for (const client of others) client.socket.send('ask')
  await until('they wait', async () => (await samples(gateway))['cache_messages_total{result="wait"}'] === 9)
  for (const client of others) client.socket.terminate()
  await until('they are gone', async () => (await samples(gateway)).sockets === 1)
  answer()
  assert.equal(await first!.next(), 'x')
  await until('the close events', () => handler.events.filter((event) => event.type === 'framegate.close').length === 9)
  assert.equal(asked().length, 1)
})

test('the memory is bounded: large and many answers push out old ones', async (t) => {
  const { gateway, asked } = await setUp(
    t,
    (event, response) => {
      const size = Number(String(event.body).split(' ')[0])
      response.writeHead(200, PUBLIC).end('x'.repeat(size))
    },
    { CACHE_BYTES: '1m' },
  )
  const client = await open(`${gateway.ws}/ws/cached/a`)
  for (let i = 0; i < 100; i++) assert.equal((await client.ask(`30000 ${i}`)).length, 30_000)
  await client.ask('30000 99')
  assert.equal(asked().length, 100)
  await client.ask('30000 0')
  assert.equal(asked().length, 101)
  for (let i = 0; i < 2; i++) assert.equal((await client.ask('100000')).length, 100_000)
  assert.equal(asked().length, 103, 'an answer of more than a sixteenth of the memory is not kept')
  const large = 'y'.repeat(20_000)
  for (let i = 0; i < 2; i++) await client.ask(`1 ${large}`)
  await client.ask(`1 ${large}z`)
  assert.equal(asked().length, 105)
})

test('waiting sockets get an answer, and their close events arrive, when the gateway stops', async (t) => {
  let answer = () => {}
  const { gateway, handler } = await setUp(t, (_event, response) => {
    answer = () => response.writeHead(200, PUBLIC).end('x')
  })
  const clients = await openAll(Array.from({ length: 10 }, () => `${gateway.ws}/ws/cached/a`))
  for (const client of clients) client.socket.send('ask')
  await until('they wait', async () => (await samples(gateway))['cache_messages_total{result="wait"}'] === 9)
  const ended = gateway.quit()
  await until('the stop has begun', async () => !(await isListening(gateway.port)))
  answer()
  await ended
  assert.equal(handler.events.filter((event) => event.type === 'framegate.close').length, 10)
  for (const client of clients) assert.equal(await client.next(), 'x')
})
