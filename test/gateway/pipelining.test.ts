// Requests that are sent together on one connection, and answered without asking anybody, hold no socket up.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'

/** A process with a hundred connections that send one request again and again, as fast as they can. */
const FLOOD = `
  import { connect } from 'node:net'
  const [port, request] = process.argv.slice(1)
  const chunk = request.repeat(1000)
  function flood() {
    const socket = connect(port, '127.0.0.1')
    const send = () => { while (socket.write(chunk)); }
    socket.on('drain', send).on('error', () => {}).on('close', flood).resume()
    send()
  }
  for (let i = 0; i < 100; i++) flood()
  console.log('floods')
`

const HANDSHAKE =
  'GET /ws/a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://b\r\n\r\n'

/**
 * The longest time that a socket waits for an answer during a flood of requests, in milliseconds, without the two longest
 * of all: what holds it up holds up each answer, and a machine that stands still holds up one.
 */
async function slowest(
  gateway: Gateway,
  request: string,
  { headers = {}, port = gateway.port }: { headers?: Record<string, string>; port?: number } = {},
): Promise<number> {
  const client = await open(`${gateway.ws}/ws/echo`, { localAddress: '127.0.0.2', headers })
  const child = spawn(process.execPath, ['--input-type=module', '-e', FLOOD, String(port), request], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const times: number[] = []
    for (let i = 0; i < 22; i++) {
      const began = performance.now()
      await client.ask(`still here ${i}`)
      times.push(performance.now() - began)
    }
    return times.sort((a, b) => b - a)[2]!
  } finally {
    child.kill('SIGKILL')
    await client.close()
  }
}

for (const [name, request] of [
  ['plain requests for a socket', 'GET /ws/a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['handshakes of a refused origin', HANDSHAKE],
  ['requests with a wrong Host', 'GET / HTTP/1.1\r\nHost: a?b\r\n\r\n'],
] as const) {
  test(`a hundred connections that send ${name}: sockets are answered as ever`, async (t) => {
    const gateway = await startGateway(t, { env: { WORKERS: '1' } })
    const longest = await slowest(gateway, request)
    t.diagnostic(`slowest ${longest.toFixed(1)} ms`)
    assert.ok(longest < 1000, `${longest} ms`)
  })
}

test('a hundred connections that are redirected to https: sockets are answered as ever', async (t) => {
  const { certificate, key } = certificates(t).make('one')
  const gateway = await startGateway(t, {
    env: {
      WORKERS: '1',
      TLS_CERTIFICATE: certificate,
      TLS_CERTIFICATE_KEY: key,
      TLS_PORT: String(await freePort()),
      TLS_REDIRECT: 'on',
      TRUSTED_PROXIES: '127.0.0.2',
    },
  })
  const longest = await slowest(gateway, 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n', {
    headers: { 'X-Forwarded-Proto': 'https' },
  })
  t.diagnostic(`slowest ${longest.toFixed(1)} ms`)
  assert.ok(longest < 1000, `${longest} ms`)
})

test('a hundred connections that ask the control port without the token: sockets are answered as ever', async (t) => {
  const port = await freePort()
  const gateway = await startGateway(t, {
    env: { WORKERS: '1', CONTROL_PORT: `127.0.0.1:${port}`, CONTROL_TOKEN: 'a-long-random-token' },
  })
  for (const path of ['/status', '/', '/problem']) {
    const longest = await slowest(gateway, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, { port })
    t.diagnostic(`${path}: slowest ${longest.toFixed(1)} ms`)
    assert.ok(longest < 1000, `${path}: ${longest} ms`)
  }
})
