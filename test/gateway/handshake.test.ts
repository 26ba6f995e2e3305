// The handshake: refusals, origins, and the open event.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame, rawHandshake, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

test('a handshake that RFC 6455 does not allow is refused with the status that says why', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const cases: Array<[string, Parameters<typeof rawHandshake>[2], number, Record<string, string>?]> = [
    ['version 8', { headers: { 'Sec-WebSocket-Version': '8' } }, 426, { 'sec-websocket-version': '13' }],
    ['no version', { headers: { 'Sec-WebSocket-Version': '' } }, 426, { 'sec-websocket-version': '13' }],
    ['a key of 15 bytes', { headers: { 'Sec-WebSocket-Key': Buffer.alloc(15).toString('base64') } }, 400],
    ['a key that is not base64', { headers: { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' } }, 400],
    ['no key', { headers: { 'Sec-WebSocket-Key': '' } }, 400],
    ['POST', { method: 'POST', headers: { 'Content-Length': '0' } }, 405, { allow: 'GET' }],
    ['no Connection: Upgrade', { headers: { Connection: 'close' } }, 400],
    ['no Upgrade: a plain request', { headers: { Upgrade: '' } }, 426, { 'sec-websocket-version': '13' }],
    ['another Upgrade', { headers: { Upgrade: 'h2c' } }, 426],
  ]
  for (const [what, options, status, headers = {}] of cases) {
    const raw = rawHandshake(gateway.port, '/ws/echo', options)
    const answer = await raw.response()
    assert.equal(answer.status, status, what)
    for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name], value, what)
    assert.equal(JSON.parse(await raw.body()).statusCode, status, what)
    raw.socket.destroy()
  }
  assert.equal(handler.events.length, 0, 'the handler hears nothing of these')
  for (const path of ['/admin/../ws/echo', '/admin/%2e%2e/ws/echo', '//ws//echo']) {
    const raw = rawHandshake(gateway.port, path)
    assert.equal((await raw.response()).status, 400, `${path} would reach the handler as it stands here`)
    raw.socket.destroy()
  }
  assert.equal(handler.events.length, 0)
  const several = await rawSocket(gateway.port, '/ws/echo', {
    headers: { Connection: 'keep-alive\r\nConnection: Upgrade', Upgrade: 'foo, websocket' },
  })
  several.socket.destroy()
  const good = await rawSocket(gateway.port, '/ws/echo', {
    headers: {
      Connection: 'keep-alive, Upgrade',
      Upgrade: 'WebSocket',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  })
  assert.equal(
    good.headers['sec-websocket-accept'],
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'the example of RFC 6455 section 1.3',
  )
  good.socket.destroy()
})

test('Origin: none and the same host are welcome, others only by ALLOWED_ORIGINS', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { ALLOWED_ORIGINS: 'https://app.example.com,https://*.example.org,http://other.example:8081' },
  })
  await startProbeHandler(t, gateway.handlerSocket)
  const host = `127.0.0.1:${gateway.port}`
  const cases: Array<[string, string, number]> = [
    ['', host, 101],
    [`http://${host}`, host, 101],
    [`https://${host}`, host, 101],
    ['http://Shop.Example', 'shop.example:80', 101],
    ['https://shop.example', 'SHOP.example:443', 101],
    ['https://shop.example:443', 'shop.example', 101],
    ['http://shop.example:8080', 'shop.example', 403],
    ['http://[::1]:8080', '[::1]:8080', 101],
    ['null', host, 403],
    ['http://evil.example', host, 403],
    ['https://app.example.com', host, 101],
    ['http://app.example.com', host, 403],
    ['https://a.b.example.org', host, 101],
    ['https://example.org', host, 403],
    ['https://evilexample.org', host, 403],
    ['http://other.example:8081', host, 101],
    ['http://other.example', host, 403],
  ]
  for (const [origin, hostHeader, status] of cases) {
    const raw = rawHandshake(gateway.port, '/ws/echo', {
      headers: { Origin: origin, Host: hostHeader, 'X-Forwarded-Host': 'evil.example' },
    })
    assert.equal((await raw.response()).status, status, `${origin} at ${hostHeader}`)
    if (status === 403) assert.match(await raw.body(), /add it to ALLOWED_ORIGINS/)
    raw.socket.destroy()
  }
  await until('the log names the value to add', () => /ALLOWED_ORIGINS=http:\/\/evil\.example/.test(gateway.log()))
})

test('the open event: an ordinary request with the facts of the handshake and nothing a client made up', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const began = Date.now()
  const client = await open(`${gateway.ws}/ws/chat/lobby?lang=en`, {
    headers: {
      cookie: 'session=1; theme=dark',
      authorization: 'Bearer x',
      'user-agent': 'tester',
      'accept-language': 'de',
      origin: gateway.url,
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      'ce-type': 'framegate.close',
      'ce-state': 'forged',
      'ws-user': 'root',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.example',
      'x-secret': 'no',
    },
  })
  const { url, headers, body } = await handler.seen('open')
  assert.equal(url, '/ws/chat/lobby?lang=en')
  assert.equal(body.length, 0)
  const { 'ce-id': id, 'ce-time': time, 'ce-connectionid': connection, ...rest } = headers
  assert.match(String(connection), /^[\w-]{32}$/)
  assert.equal(id, `${connection}/0`)
  const sent = Date.parse(String(time))
  assert.ok(sent > began - 5000 && sent < Date.now() + 5000, `${time}`)
  assert.deepEqual(rest, {
    host: `127.0.0.1:${gateway.port}`,
    'content-length': '0',
    cookie: 'session=1; theme=dark',
    authorization: 'Bearer x',
    'user-agent': 'tester',
    'accept-language': 'de',
    origin: gateway.url,
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': `127.0.0.1:${gateway.port}`,
    'accept-encoding': 'identity',
    'ce-specversion': '1.0',
    'ce-source': headers['ce-source'],
    'ce-type': 'framegate.open',
    'ce-eventnumber': '0',
  })
  await client.close()
})

test('TRUSTED_PROXIES: what they forward counts', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { TRUSTED_PROXIES: '127.0.1.0/24' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const headers = {
    'x-forwarded-for': '6.6.6.6, 203.0.113.9',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
  }
  const trusted = await open(`${gateway.ws}/ws/a`, {
    localAddress: '127.0.1.7',
    headers: { ...headers, origin: 'https://shop.example' },
  })
  const seen = await handler.seen('open', (event) => event.url === '/ws/a')
  assert.equal(seen.headers['x-forwarded-for'], '203.0.113.9')
  assert.equal(seen.headers['x-forwarded-proto'], 'https')
  assert.equal(seen.headers['x-forwarded-host'], 'shop.example')
  const other = await open(`${gateway.ws}/ws/b`, { localAddress: '127.0.2.7', headers })
  const plain = await handler.seen('open', (event) => event.url === '/ws/b')
  assert.equal(plain.headers['x-forwarded-for'], '127.0.2.7')
  assert.equal(plain.headers['x-forwarded-proto'], 'http')
  await Promise.all([trusted.close(), other.close()])
})

test('the answer to open decides: 2xx with cookies, subprotocol and a first frame', async (t) => {
  const gateway = await startGateway(t, { handler: false, expect: [/not offered/] })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.open') return void response.writeHead(204).end()
    response
      .writeHead(200, {
        'set-cookie': ['a=1; Path=/', 'b=2'],
        'sec-websocket-protocol': event.url.includes('wrong') ? 'v3' : 'v2',
        'content-type': 'text/plain',
      })
      .end('welcome')
  })
  const raw = await rawSocket(gateway.port, '/ws/x', { headers: { 'Sec-WebSocket-Protocol': 'v1, v2' } })
  assert.equal(raw.headers['sec-websocket-protocol'], 'v2')
  assert.equal(raw.headers['set-cookie'], 'a=1; Path=/, b=2')
  assert.equal((await raw.frame()).payload.toString(), 'welcome')
  assert.equal(handler.events[0]!.headers['sec-websocket-protocol'], 'v1, v2')
  raw.socket.destroy()
  const wrong = rawHandshake(gateway.port, '/ws/wrong', { headers: { 'Sec-WebSocket-Protocol': 'v1, v2' } })
  assert.equal((await wrong.response()).status, 500, 'a protocol that was not offered')
  const id = handler.events.find((event) => event.url === '/ws/wrong')!.headers['ce-connectionid']
  await handler.seen('close', (event) => event.headers['ce-connectionid'] === id)
})

test('the answer to open decides: another status is the client’s HTTP answer, and no close event follows', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    response
      .writeHead(event.url === '/ws/moved' ? 302 : 401, {
        'content-type': 'application/problem+json',
        'www-authenticate': 'Bearer',
        'ws-user': 'x',
        location: '/login',
        'set-cookie': ['a=1', 'b=2'],
      })
      .end('{"title":"sign in"}')
  })
  const raw = rawHandshake(gateway.port, '/ws/x')
  const { status, headers } = await raw.response()
  assert.equal(status, 401)
  assert.equal(headers['content-type'], 'application/problem+json')
  assert.equal(headers['www-authenticate'], 'Bearer')
  assert.equal(headers['set-cookie'], 'a=1, b=2')
  assert.equal(headers['ws-user'], undefined)
  assert.equal(headers['framegate-connect-time'], undefined)
  assert.equal(await raw.body(), '{"title":"sign in"}')
  const moved = rawHandshake(gateway.port, '/ws/moved')
  assert.deepEqual([(await moved.response()).status, moved.headers.location], [302, '/login'])
  const after = await new Client(`${gateway.ws}/ws/x`).opened.catch((error: Error) => error.message)
  assert.match(String(after), /401/)
  assert.deepEqual(
    handler.events.map((event) => event.type),
    Array(3).fill('framegate.open'),
  )
})

test('the answer to open decides: ws-close upgrades, so that a browser can read the refusal', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.open') return void response.writeHead(204).end()
    const accepted = event.url === '/ws/full'
    response
      .writeHead(accepted ? 200 : 403, { 'content-type': 'text/plain', 'ws-close': '4401 sign%20in%20%C3%A9' })
      .end('body')
  })
  const refused = new Client(`${gateway.ws}/ws/refused`)
  assert.deepEqual(await refused.closed, { code: 4401, reason: 'sign in é' })
  const full = await open(`${gateway.ws}/ws/full`)
  assert.equal(await full.next(), 'body', 'the body goes first when the status is 2xx')
  assert.equal((await full.closed).code, 4401)
  const close = await handler.seen('close')
  assert.equal(close.url, '/ws/full', 'only what was accepted gives a close event')
  assert.equal(close.headers['ce-closecode'], '4401')
  assert.equal(handler.events.filter((event) => event.type === 'framegate.close').length, 1)
})

test('frames that come with the handshake or while open waits are kept, and a client that leaves meanwhile gives its close event', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const waiting: Array<() => void> = []
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.message')
      return void response.writeHead(200, { 'content-type': 'text/plain' }).end(event.body)
    if (event.type === 'framegate.close') return void response.writeHead(204).end()
    waiting.push(() => response.writeHead(204).end())
  })
  const early = rawHandshake(gateway.port, '/ws/early', { after: frame(1, 'with the handshake') })
  await handler.seen('open')
  early.write(frame(1, 'while it waits'))
  waiting.shift()!()
  assert.equal((await early.response()).status, 101)
  assert.equal((await early.frame()).payload.toString(), 'with the handshake')
  assert.equal((await early.frame()).payload.toString(), 'while it waits')
  early.socket.destroy()
  const gone = rawHandshake(gateway.port, '/ws/gone')
  await handler.seen('open', (event) => event.url === '/ws/gone')
  gone.socket.destroy()
  waiting.shift()!()
  const close = await handler.seen('close', (event) => event.url === '/ws/gone')
  assert.equal(close.headers['ce-closecode'], '1006')
})
