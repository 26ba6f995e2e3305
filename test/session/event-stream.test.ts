// A client without a WebSocket: a GET whose answer is an event stream is the same socket without a way up.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Gateway as GatewayClient } from '../../plugin/index.ts'
import { type EventStream, openStream, type StreamOptions } from '../support/event-stream.ts'
import { type Gateway, type GatewayOptions, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

type Scene = {
  gateway: Gateway
  handler: ProbeHandler
  open: (path?: string, options?: StreamOptions) => Promise<EventStream>
}

/** A gateway whose handler answers open with these headers and this body. */
async function scene(
  t: TestContext,
  headers: Record<string, string> = {},
  body = '',
  options: GatewayOptions = {},
): Promise<Scene> {
  const gateway = await startGateway(t, {
    ...options,
    handler: false,
    env: { WORKERS: '1', ...(options.env as object) },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.open'
      ? void response.writeHead(body ? 200 : 204, { 'content-type': 'text/plain', ...headers }).end(body)
      : void response.writeHead(204).end(),
  )
  return { gateway, handler, open: (path = '/ws/a', options = {}) => openStream(t, gateway.port, path, options) }
}

const SESSION = { 'ws-session': '60', 'ws-subscribe': 'news' }

async function only(gateway: Gateway): Promise<any> {
  const { connections } = (await control(gateway, 'GET', '/connections')).json
  assert.equal(connections.length, 1)
  return connections[0]
}

const isAway = (gateway: Gateway) => until('it is away', async () => (await only(gateway)).session?.away >= 0)

test('a stream is a socket: its answer, pushes, a binary one, and its end by the control API', async (t) => {
  const { gateway, handler, open } = await scene(t, { 'ws-subscribe': 'news', 'set-cookie': 'a=b' }, 'welcome\r\nhere')
  const stream = await open('/ws/a?x=1', { headers: { cookie: 'c=d', 'ce-transport': 'forged' } })
  assert.equal(stream.status, 200)
  const { 'content-type': type, 'cache-control': cache, 'x-accel-buffering': buffering, ...rest } = stream.headers
  assert.deepEqual([type, cache, buffering], ['text/event-stream', 'no-cache', 'no'])
  assert.deepEqual([rest['set-cookie'], rest['transfer-encoding'], rest.connection], [['a=b'], 'chunked', 'close'])
  const opened = await handler.seen('open')
  assert.equal(opened.url, '/ws/a?x=1')
  assert.deepEqual([opened.headers['ce-transport'], opened.headers.cookie], ['sse', 'c=d'])
  assert.deepEqual(await stream.next(), { type: 'message', data: 'welcome\nhere', id: undefined })
  assert.match(stream.text, /^retry: 1000\n/)
  const { id, transport, address, path, session } = await only(gateway)
  assert.deepEqual([transport, address, path, session], ['sse', '127.0.0.1', '/ws/a', undefined])
  const pushed = await control(gateway, 'POST', '/topics/news', 'one\n\n two\n')
  assert.equal(pushed.json.delivered, 1)
  assert.equal((await stream.next()).data, 'one\n\n two\n')
  await control(gateway, 'POST', `/connections/${id}`, '')
  assert.equal((await stream.next()).data, '')
  await control(gateway, 'POST', `/connections/${id}`, '\0null')
  assert.equal((await stream.next()).data, '\0null')
  await control(gateway, 'POST', `/connections/${id}`, 'x'.repeat(200_000))
  assert.equal((await stream.next()).data, 'x'.repeat(200_000))
  const bytes = Buffer.from([0, 255, 10, 13])
  await new GatewayClient({ url: `unix:${gateway.run}/control/control.sock` }).send(id, bytes)
  assert.deepEqual(await stream.next(), { type: 'binary', data: bytes.toString('base64'), id: undefined })
  await control(gateway, 'DELETE', `/connections/${id}?code=4001&reason=enough`)
  const { type: last, data, id: lastId } = await stream.next()
  assert.deepEqual([last, JSON.parse(data!), lastId], ['close', { code: 4001, reason: 'enough' }, 'closed'])
  assert.equal(await stream.end(), 'whole')
  const closed = await handler.seen('close')
  assert.deepEqual([closed.headers['ce-closecode'], closed.headers['ce-transport']], ['4001', 'sse'])
  const again = await open('/ws/a?x=1', { headers: { 'last-event-id': 'closed' } })
  assert.deepEqual([again.status, handler.events.filter((event) => event.type === 'framegate.open').length], [204, 1])
})

test('a session goes on where its stream was cut: each message once, and the id has the newest token', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION, 'welcome')
  const publish = async (text: string) => {
    assert.equal((await control(gateway, 'POST', '/topics/news', text)).json.delivered, 1)
  }
  let stream = await open()
  const tokens = new Set<string>()
  const [beginning] = await until('an id', () => (stream.lastId ? stream.events : undefined))
  assert.match(beginning!.id!, /^[\w-]{32}\.0$/)
  const first = await stream.next()
  assert.match(first.id!, /^[\w-]{32}\.1$/)
  assert.equal(first.data, 'welcome')
  for (let round = 0, sent = 0; round < 5; round++) {
    tokens.add(stream.lastId.split('.')[0]!)
    await publish(`${++sent}`)
    assert.equal((await stream.next()).data, `${sent}`)
    assert.equal(stream.lastId.split('.')[1], `${sent + 1}`)
    stream.cut()
    await isAway(gateway)
    await publish(`${++sent}`)
    await publish(`\0${++sent}`)
    stream = await open('/ws/a', { headers: { 'last-event-id': stream.lastId } })
    assert.equal((await stream.next()).data, `${sent - 1}`)
    assert.equal((await stream.next()).data, `\0${sent}`)
  }
  assert.equal(tokens.size, 5)
  assert.equal(handler.events.length, 1)
  assert.doesNotMatch(stream.text, /reset/)
})

test('what was written and did not arrive comes again, up to what the session keeps', async (t) => {
  const { gateway, open } = await scene(t, SESSION, '', { env: { SESSION_BYTES: '3000' } })
  const stream = await open()
  const id = await until('an id', () => stream.lastId)
  for (const text of ['a', 'b', 'c']) await control(gateway, 'POST', '/topics/news', text.repeat(900))
  assert.deepEqual(
    [await stream.next(), await stream.next()].map((event) => event.data![0]),
    ['a', 'b'],
  )
  stream.cut()
  const again = await open('/ws/a', { headers: { 'last-event-id': id } })
  for (const text of ['a', 'b', 'c']) assert.equal((await again.next()).data, text.repeat(900))
  for (const text of ['d', 'e']) await control(gateway, 'POST', '/topics/news', text.repeat(900))
  again.cut()
  const other = await open('/ws/a', { headers: { 'last-event-id': again.lastId.replace(/\d+$/, '0') } })
  assert.equal((await other.next()).type, 'reset')
  assert.equal((await control(gateway, 'GET', '/connections')).json.count, 1, 'the old socket has ended')
})

test('Last-Event-ID goes before the parameter of the URL, which may be a nonce or a token', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION)
  const nonce = '/ws/a?x=1&ws-session=new.abcdefghijklmnopqrstuvwx'
  const [first, cut] = [await open(nonce), await open(nonce)]
  assert.equal((await handler.seen('open')).url, '/ws/a?x=1')
  await until('both have ids', () => first.lastId && cut.lastId)
  await control(gateway, 'POST', '/topics/news', 'one')
  assert.equal((await cut.next()).data, 'one')
  const token = cut.lastId
  cut.cut()
  await isAway(gateway)
  const byUrl = await open(`/ws/a?ws-session=${token}&x=1`)
  await until('an id', () => byUrl.lastId)
  byUrl.cut()
  await isAway(gateway)
  const byHeader = await open(nonce, { headers: { 'last-event-id': byUrl.lastId } })
  await control(gateway, 'POST', '/topics/news', 'two')
  assert.equal((await byHeader.next()).data, 'two')
  assert.equal(handler.events.length, 1)
  const bad = await open('/ws/a?ws-session=nonsense')
  assert.equal(bad.status, 400)
  const foreign = await open('/ws/a', { headers: { 'last-event-id': 'an id of somebody else' } })
  await until('an id', () => foreign.lastId)
  assert.equal(handler.events.filter((event) => event.type === 'framegate.open').length, 2)
})

test('an unknown token is an open; that of a closed socket gets 204, and so does its former client', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION)
  const unknown = await open('/ws/a', { headers: { 'last-event-id': `${'x'.repeat(32)}.7` } })
  assert.deepEqual(await unknown.next(), { type: 'reset', data: '', id: undefined })
  assert.match(unknown.lastId, /\.0$/)
  unknown.cut()
  await isAway(gateway)
  const { id } = await only(gateway)
  await control(gateway, 'DELETE', `/connections/${id}?code=4001&reason=gone`)
  await handler.seen('close', (event) => event.headers['ce-closecode'] === '4001')
  for (const lastId of [unknown.lastId, unknown.lastId.replace(/\d+$/, '99')]) {
    const { status, headers } = await open('/ws/a', { headers: { 'last-event-id': lastId } })
    assert.deepEqual([status, headers['content-length']], [204, undefined])
  }
  assert.equal(handler.events.filter((event) => event.type === 'framegate.open').length, 1)
  assert.equal((await samples(gateway))['sockets_refused_total{cause="over"}'], 2)
})

test('a session that was opened as a WebSocket and went on as a stream gets 204 after its end', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION)
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  client.cut()
  await isAway(gateway)
  const stream = await open('/ws/a', { headers: { 'last-event-id': `${client.token}.0` } })
  await control(gateway, 'POST', '/topics/news', 'one')
  assert.equal((await stream.next()).data, 'one')
  const { id } = await only(gateway)
  await control(gateway, 'DELETE', `/connections/${id}?code=4001`)
  await handler.seen('close')
  assert.equal((await open('/ws/a', { headers: { 'last-event-id': stream.lastId } })).status, 204)
  assert.equal(handler.events.filter((event) => event.type === 'framegate.open').length, 1)
})

test('a session over four workers goes on wherever its client comes back to', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION, '', { env: { WORKERS: '4' } })
  let stream = await open()
  await until('an id', () => stream.lastId)
  for (let i = 0; i < 40; i += 2) {
    await control(gateway, 'POST', '/topics/news', `${i}`)
    assert.equal((await stream.next()).data, `${i}`)
    stream.cut()
    await control(gateway, 'POST', '/topics/news', `${i + 1}`)
    stream = await open('/ws/a', { headers: { 'last-event-id': stream.lastId } })
    assert.equal((await stream.next()).data, `${i + 1}`)
  }
  assert.equal(handler.events.length, 1)
})

test('a stream that is not a session ends with its connection; a session when its time is over', async (t) => {
  const { gateway, handler, open } = await scene(t)
  const plain = await open()
  assert.doesNotMatch(plain.text, /^id:/m)
  plain.cut()
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1006')
  handler.answer(
    (event, response) =>
      void response.writeHead(204, event.type === 'framegate.open' ? { 'ws-session': '0.5' } : {}).end(),
  )
  const session = await open()
  const id = await until('an id', () => session.lastId)
  session.cut()
  const closed = await handler.seen('close', (event) => event.headers['ce-closereason'] !== '')
  assert.deepEqual(
    [closed.headers['ce-closecode'], closed.headers['ce-closereason']],
    ['1006', 'its%20client%20was%20away%20for%200.5%20s'],
  )
  const late = await open('/ws/a', { headers: { 'last-event-id': id } })
  assert.equal((await late.next()).type, 'reset')
  await until('it is open', async () => (await control(gateway, 'GET', '/connections')).json.count === 1)
})

test('refusals are what the handler and the gateway answer, and no socket', async (t) => {
  const { gateway, handler, open } = await scene(t, {}, '', { env: { ALLOWED_ORIGINS: 'https://page.example' } })
  const statusOf = async (options: StreamOptions, path = '/ws/a') => (await open(path, options)).status
  assert.equal(await statusOf({ method: 'POST' }), 405)
  assert.equal(await statusOf({ method: 'HEAD' }), 405)
  assert.equal(await statusOf({ headers: { 'transfer-encoding': 'chunked' } }), 400)
  assert.equal(await statusOf({}, '/ws/../ws/a'), 400)
  assert.equal(await statusOf({ headers: { origin: 'https://other.example' } }), 403)
  assert.equal(await statusOf({ headers: { 'sec-fetch-site': 'cross-site' } }), 403)
  assert.equal(await statusOf({ headers: { accept: 'text/html' } }), 426)
  assert.equal(await statusOf({ headers: { accept: 'text/event-streams, text/event' } }), 426)
  assert.equal(handler.events.length, 0)
  handler.answer(
    (_event, response) => void response.writeHead(403, { 'content-type': 'text/plain', 'x-why': 'no' }).end('no'),
  )
  const refused = await open('/ws/a', { headers: { origin: 'https://page.example' } })
  assert.deepEqual([refused.status, refused.headers['x-why']], [403, 'no'])
  assert.equal(refused.headers['access-control-allow-origin'], 'https://page.example')
  handler.answer((_event, response) => void response.writeHead(401, { 'ws-close': '4401 sign%20in' }).end())
  const closed = await open('/ws/a', {
    headers: { accept: 'text/html, Text/Event-Stream;q=0.5', 'sec-fetch-site': 'same-origin' },
  })
  const { type, data } = await closed.next()
  assert.deepEqual([closed.status, type, data], [200, 'close', '{"code":4401,"reason":"sign in"}'])
  assert.equal(await closed.end(), 'whole')
  handler.answer(
    (_event, response) => void response.writeHead(200, { 'content-type': 'text/plain', 'ws-close': '1000' }).end('bye'),
  )
  const brief = await open('/ws/a', { headers: { origin: 'https://page.example' } })
  const { 'access-control-allow-origin': origin, 'access-control-allow-credentials': credentials, vary } = brief.headers
  assert.deepEqual([origin, credentials, vary], ['https://page.example', 'true', 'Origin'])
  assert.deepEqual([(await brief.next()).data, (await brief.next()).type, await brief.end()], ['bye', 'close', 'whole'])
  await until('nothing is open', async () => (await control(gateway, 'GET', '/connections')).json.count === 0)
})

test('a session goes from a WebSocket to a stream and back, with nothing lost', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION)
  const publish = (text: string) => control(gateway, 'POST', '/topics/news', text)
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  await publish('one')
  assert.equal(await client.next(), 'one')
  client.cut()
  await isAway(gateway)
  await publish('\0two')
  const stream = await open('/ws/a', { headers: { 'last-event-id': `${client.token}.1` } })
  assert.equal((await stream.next()).data, '\0two')
  await publish('three')
  assert.equal((await stream.next()).data, 'three')
  stream.cut()
  await isAway(gateway)
  await publish('four')
  ;[client.token, client.received] = [stream.lastId.split('.')[0]!, Number(stream.lastId.split('.')[1])]
  await client.dial()
  assert.equal(client.first.resumed, true)
  assert.equal(await client.next(), 'four')
  assert.equal(handler.events.length, 1)
  client.cut()
})

test('streams count for the limit of an address', async (t) => {
  const { gateway, open } = await scene(t, SESSION, '', { env: { MAX_CONNECTIONS_PER_IP: '2' } })
  const [one, two] = [await open(), await open()]
  await until('ids', () => one.lastId && two.lastId)
  const refused = await open()
  assert.deepEqual([refused.status, await refused.end()], [200, 'whole'])
  assert.equal(refused.text, ': 429 at most 2 sockets may be open from one address\nretry: 5000\n\n')
  one.cut()
  await isAwayCount(gateway, 1)
  const again = await open('/ws/a', { headers: { 'last-event-id': one.lastId } })
  assert.equal(again.status, 200)
})

async function isAwayCount(gateway: Gateway, count: number) {
  await until('some are away', async () => {
    const { connections } = (await control(gateway, 'GET', '/connections')).json
    return connections.filter((each: any) => each.session?.away >= 0).length === count
  })
}

test('a stream that a stop or a reload ends has no last id, so that its client comes back', async (t) => {
  const { gateway, open } = await scene(t, { 'ws-subscribe': 'news' }, '', { env: { DRAIN_SECONDS: '0.1' } })
  const stream = await open()
  await gateway.reload()
  const { type, data, id } = await stream.next()
  assert.deepEqual([type, JSON.parse(data!).code, id, await stream.end()], ['close', 1012, undefined, 'whole'])
  const other = await open()
  await gateway.quit()
  assert.equal(JSON.parse((await other.next()).data!).code, 1001)
})

test('a handler that is asked about a return may refuse a stream, or close it', async (t) => {
  const { handler, open } = await scene(t)
  for (const [answer, expected] of [
    [{ status: 403, headers: {} }, [403, undefined]],
    [{ status: 204, headers: { 'ws-close': '4401 sign%20in' } }, [200, '{"code":4401,"reason":"sign in"}']],
  ] as const) {
    handler.answer((event, response) => {
      if (event.type === 'framegate.resume') return void response.writeHead(answer.status, answer.headers).end()
      response.writeHead(204, { 'ws-session': '60;check' }).end()
    })
    const stream = await open()
    const id = await until('an id', () => stream.lastId)
    stream.cut()
    const again = await open('/ws/a', { headers: { 'last-event-id': id, cookie: 'renewed=1' } })
    await again.end()
    assert.deepEqual([again.status, again.events.find(({ type }) => type === 'close')?.data], expected)
  }
})

test('a client at the limit of its address gets its session back while the old connection is half-open', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION, '', { env: { MAX_CONNECTIONS_PER_IP: '1' } })
  const stream = await open()
  const id = await until('an id', () => stream.lastId)
  await control(gateway, 'POST', '/topics/news', 'one')
  const again = await open('/ws/a', { headers: { 'last-event-id': id } })
  assert.equal((await again.next()).data, 'one')
  assert.equal(handler.events.length, 1)
})

test('a session that a reload sends away goes on in a new worker', async (t) => {
  const { gateway, handler, open } = await scene(t, SESSION, '', { env: { DRAIN_SECONDS: '0.1' } })
  const stream = await open()
  await control(gateway, 'POST', '/topics/news', 'one')
  assert.equal((await stream.next()).data, 'one')
  await gateway.reload()
  assert.equal(await stream.end(), 'whole')
  assert.doesNotMatch(stream.text, /event: close/)
  await control(gateway, 'POST', '/topics/news', 'two')
  const again = await open('/ws/a', { headers: { 'last-event-id': stream.lastId } })
  assert.equal((await again.next()).data, 'two')
  await control(gateway, 'POST', '/topics/news', 'three')
  assert.equal((await again.next()).data, 'three')
  assert.equal(handler.events.length, 1)
})

test('comments come while nothing else does, and what the client sends is ignored up to 64 KB', async (t) => {
  const { gateway, handler, open } = await scene(t, {}, '', { env: { PING_INTERVAL: '0.2', IDLE_TIMEOUT: '1' } })
  const stream = await open()
  const comments = () => stream.text.split('\n').filter((line) => line === ':').length
  await until('8 comments, over more than IDLE_TIMEOUT', () => comments() >= 8)
  assert.equal(stream.ended, undefined)
  stream.response.socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await control(gateway, 'POST', '/broadcast', 'still here')
  assert.equal((await stream.next()).data, 'still here')
  stream.response.socket.write(Buffer.alloc(100_000))
  assert.equal(JSON.parse((await stream.next()).data!).code, 1002)
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1002')
})

test('a client that accepts nothing for IDLE_TIMEOUT has left', async (t) => {
  const { gateway, handler, open } = await scene(t, { 'ws-subscribe': 'news' }, '', {
    env: { IDLE_TIMEOUT: '4', PING_INTERVAL: '0.3', OUTBOX_BYTES: '64k' }, // in which the outbox fills up
  })
  const stream = await open()
  stream.response.pause()
  stream.response.socket.pause()
  let dropped = 0
  for (let i = 0; i < 400 && !dropped; i++) {
    dropped = (await control(gateway, 'POST', '/topics/news', 'x'.repeat(50_000))).json.dropped
  }
  assert.equal(dropped, 1)
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1006')
})
