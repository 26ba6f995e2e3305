// Plain requests at the edges of HTTP: what reaches the site, and what reaches the handler through handler.conf.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { RawSocket } from '../support/raw-socket.ts'

async function statusOf(gateway: Gateway, firstLine: string, host = 'Host: a\r\n'): Promise<number> {
  const raw = new RawSocket(connect(gateway.port, '127.0.0.1'))
  raw.write(`${firstLine}\r\n${host}\r\n`)
  const { status } = await raw.response()
  raw.socket.destroy()
  return status
}

test('a location opens no other routes of the handler: paths with dot segments are refused', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    locations:
      'location /open/ { include handler.conf; } location /moved/ { rewrite . /open/moved break; include handler.conf; }',
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  for (const path of [
    '/internal/x/../../open/y',
    '/internal/%2e%2e/open/y',
    '/internal/x%2F..%2F../open/y',
    '/internal/..%2fopen/y',
    '/open/./y',
    '/open/a/..',
    'http://a/internal/../open/y',
  ]) {
    assert.equal(await statusOf(gateway, `GET ${path} HTTP/1.1`), 400, path)
  }
  assert.deepEqual(handler.events, [])
  for (const path of ['/open/a%2Fb', '/open/..a/b..', '/open/...', '/open/a?b=/../c', '/moved/x']) {
    assert.equal(await statusOf(gateway, `GET ${path} HTTP/1.1`), 204, path)
  }
  assert.deepEqual(
    handler.events.map(({ url }) => url),
    ['/open/a%2Fb', '/open/..a/b..', '/open/...', '/open/a?b=/../c', '/open/moved'],
  )
})

test('the host of an absolute target is checked like a Host header', async (t) => {
  const gateway = await startGateway(t)
  const handshake =
    'Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  assert.equal(await statusOf(gateway, 'GET http://a:99999/ HTTP/1.1'), 400)
  assert.equal(await statusOf(gateway, 'GET http://a:80/ HTTP/1.1'), 200)
  assert.equal(await statusOf(gateway, 'GET http://a:99999/ws/echo HTTP/1.1', handshake), 400)
  assert.equal(await statusOf(gateway, 'GET http://a:80/ws/echo HTTP/1.1', handshake), 101)
})

test('a request of HTTP/1.0 without Host reaches the site, which gets a Host', async (t) => {
  const gateway = await startGateway(t)
  assert.equal(await statusOf(gateway, 'GET / HTTP/1.0', ''), 200)
})
