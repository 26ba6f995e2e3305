// Handshakes at the edges of HTTP: what RFC 9110 and 9112 allow is taken, what they do not is refused.
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { RawSocket, rawHandshake, rawSocket } from '../support/raw-socket.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** Sends a handshake whose lines are given one by one, and what follows it. */
function sayHandshake(gateway: Gateway, firstLine: string, lines: string[], after = ''): RawSocket {
  const socket = connect(gateway.port, '127.0.0.1')
  const raw = new RawSocket(socket)
  const all = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', ...lines]
  raw.write(`${firstLine}\r\n${all.map((line) => `${line}\r\n`).join('')}\r\n${after}`)
  return raw
}

function lastOpen(handler: ProbeHandler) {
  return handler.events.filter((event) => event.type === 'framegate.open').at(-1)!
}

test('white space is space and tab; a higher minor version is 1.1; the host of an absolute target wins', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const host = 'Host: shop.example'
  const cases: Array<[string, string[]]> = [
    [
      'GET /ws/tab HTTP/1.1',
      [host, KEY.replace(': ', ':\t \t').concat('\t'), 'Origin:\thttp://shop.example\t', 'Cookie:\ta=1\t'],
    ],
    ['GET /ws/two HTTP/1.2', [host, KEY]],
    ['GET /ws/nine HTTP/1.9', [host, KEY]],
    ['GET http://shop.example/ws/absolute?a=b HTTP/1.1', ['Host: other.example', KEY, 'Origin: http://shop.example']],
  ]
  for (const [line, lines] of cases) {
    const raw = sayHandshake(gateway, line, lines)
    const { status, headers } = await raw.response()
    assert.equal(status, 101, line)
    assert.equal(headers['sec-websocket-accept'], ACCEPT, line)
    raw.socket.destroy()
    assert.equal(lastOpen(handler).headers.host, 'shop.example', line)
    assert.equal(lastOpen(handler).headers['x-forwarded-host'], 'shop.example', line)
  }
  assert.equal(handler.events.find((event) => event.url === '/ws/tab')!.headers.cookie, 'a=1')
  assert.equal(lastOpen(handler).url, '/ws/absolute?a=b')
  const foreign = sayHandshake(gateway, 'GET http://shop.example/ws/a HTTP/1.1', [
    'Host: other.example',
    KEY,
    'Origin: http://other.example',
  ])
  assert.equal((await foreign.response()).status, 403)
})

test('encoded slashes are data: the handler’s URL is the sent text', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  for (const path of [
    '/ws/doc/https%3A%2F%2Fa.example%2Fx',
    '/ws/a%2Fb',
    '/ws/a+b%20c%3Fd',
    '/ws/%2F%2F%2F',
    '/ws/a%2f%2fb?x=//y',
  ]) {
    const raw = await rawSocket(gateway.port, path)
    assert.equal(lastOpen(handler).url, path)
    raw.socket.destroy()
  }
  const before = handler.events.length
  for (const path of [
    '/ws//a',
    '/ws/a//b',
    '/ws/../ws/a',
    '/ws/./a',
    '/ws/%2e%2e/ws/a',
    '/admin%2F..%2Fws/a',
    '/ws/x%2F..%2Fa',
  ]) {
    const raw = rawHandshake(gateway.port, path)
    assert.equal((await raw.response()).status, 400, path)
    raw.socket.destroy()
  }
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.open').length <= before, true)
})

test('a Host that is none, or two of them, is refused', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  for (const host of ['user@host', 'a?b', '[::1', 'a:99999', 'a b', '::1', 'a%zz', 'a\r\nHost: b', '']) {
    const raw = sayHandshake(gateway, 'GET /ws/a HTTP/1.1', [`Host: ${host}`, KEY])
    assert.equal((await raw.response()).status, 400, host)
    raw.socket.destroy()
  }
  assert.equal(handler.events.length, 0)
})

test('a handshake with a body is refused before the handler is asked, and nothing of it is kept', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const cases: Array<[string[], string]> = [
    [['Content-Length: 5'], ''],
    [['Content-Length: 5'], 'hello'],
    [['Content-Length: 209715200'], 'x'.repeat(1_000_000)],
    [['Transfer-Encoding: chunked'], '5\r\nhel'],
    [['Transfer-Encoding: chunked'], '0\r\n\r\n'],
    [['Expect: 100-continue'], ''],
    [['Content-Length: 5', 'Expect: 100-continue'], ''],
  ]
  for (const [lines, after] of cases) {
    const raw = sayHandshake(gateway, 'GET /ws/a HTTP/1.1', ['Host: a', KEY, ...lines], after)
    assert.equal((await raw.response()).status, 400, lines.join())
    raw.socket.destroy()
  }
  const empty = sayHandshake(gateway, 'GET /ws/a HTTP/1.1', ['Host: a', KEY, 'Content-Length: 0'])
  assert.equal((await empty.response()).status, 101)
  empty.socket.destroy()
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.open').length, 1)
  const spooled = readdirSync(join(gateway.run, 'temp'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size)
  assert.deepEqual(spooled, [])
})

test('a subprotocol that is no token is refused like one that was not offered', async (t) => {
  const gateway = await startGateway(t, { handler: false, expect: [/not offered/] })
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    const chosen = event.type === 'framegate.open' ? { 'sec-websocket-protocol': 'a(b)' } : {}
    response.writeHead(204, chosen).end()
  })
  const raw = rawHandshake(gateway.port, '/ws/a', { headers: { 'Sec-WebSocket-Protocol': 'a(b), c' } })
  assert.equal((await raw.response()).status, 500)
  assert.equal((await control(gateway, 'GET', '/connections')).json.connections.length, 0)
})

test('pages of files: what the log advises works', async (t) => {
  const plain = await startGateway(t)
  for (const origin of ['file://', 'null', 'no origin at all']) {
    const raw = rawHandshake(plain.port, '/ws/echo', { headers: { Origin: origin } })
    assert.equal((await raw.response()).status, 403, origin)
    raw.socket.destroy()
  }
  const advice = (): string[] => {
    const values = [...plain.log().matchAll(/\(ALLOWED_ORIGINS=(.*?)\)/g)].map((match) => match[1]!)
    return [...new Set(values)].sort()
  }
  await until('the log has advice', () => advice().length >= 2)
  const advised = advice()
  assert.deepEqual(advised, ['file://', 'null'])
  const gateway = await startGateway(t, { env: { ALLOWED_ORIGINS: advised.join(',') } })
  for (const origin of advised) {
    const raw = await rawSocket(gateway.port, '/ws/echo', { headers: { Origin: origin } })
    raw.socket.destroy()
  }
})

test('of lists of X-Forwarded-Host and -Proto the first is the client’s', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { TRUSTED_PROXIES: '127.0.0.1' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const raw = await rawSocket(gateway.port, '/ws/a', {
    headers: {
      Origin: 'https://shop.example',
      'X-Forwarded-For': '203.0.113.7',
      'X-Forwarded-Host': 'shop.example, inner.example',
      'X-Forwarded-Proto': 'https, http',
    },
  })
  raw.socket.destroy()
  const { headers } = lastOpen(handler)
  assert.deepEqual([headers['x-forwarded-host'], headers['x-forwarded-proto']], ['shop.example', 'https'])
})

test('a refusal of the handler keeps its content type, and gets none if it has none', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    response.writeHead(403, event.url.includes('typed') ? { 'content-type': 'text/html' } : {}).end('no')
  })
  for (const [path, type] of [
    ['/ws/typed', 'text/html'],
    ['/ws/bare.html', undefined],
  ] as const) {
    const raw = rawHandshake(gateway.port, path)
    const { status, headers } = await raw.response()
    assert.deepEqual([status, headers['content-type']], [403, type])
    raw.socket.destroy()
  }
})
