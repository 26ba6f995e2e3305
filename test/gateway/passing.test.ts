// The site's traffic is the site's: requests and answers pass as they came. Raw bytes on both sides.
import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type GatewayOptions, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'

type Answer = (request: string, socket: Socket) => void

/** A site that answers whatever it is told to, byte for byte, once a request's headers and `ends` have come. */
async function startRawSite(t: TestContext, answer: Answer): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let text = ''
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      seen.push(text)
      answer(text, socket)
      text = ''
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, seen }
}

/** Sends bytes to the gateway; what has come back so far, and whether it has ended. */
function say(port: number, bytes: string, localAddress?: string): { text: () => string; isOver: () => boolean } {
  let text = ''
  let isOver = false
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isOver = true
  })
  socket.write(Buffer.from(bytes, 'latin1'))
  return { text: () => text, isOver: () => isOver }
}

async function exchange(port: number, bytes: string, localAddress?: string): Promise<string> {
  const client = say(port, bytes, localAddress)
  await until('the connection ends', () => client.isOver())
  return client.text()
}

function headersOf(message: string): string[] {
  return message.slice(0, message.indexOf('\r\n\r\n')).split('\r\n').slice(1)
}

function get(path: string, ...lines: string[]): string {
  return `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${lines.map((line) => `${line}\r\n`).join('')}Connection: close\r\n\r\n`
}

const EMPTY = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'

async function startBoth(t: TestContext, answer: Answer, options: GatewayOptions = {}) {
  const site = await startRawSite(t, answer)
  const env = { SITE_URL: site.url, WORKERS: '1', ...(options.env as Record<string, string>) }
  return { site, gateway: await startGateway(t, { ...options, handler: false, env }) }
}

test('an answer keeps its headers and bytes: no charset, Date, Server, Location or X-Accel of nginx’s own', async (t) => {
  const own = [
    'Content-Type: text/html',
    'Date: Thu, 01 Jan 1970 00:00:00 GMT',
    'Server: its-own/1.0',
    'Location: http://site/elsewhere',
    'X-Accel-Redirect: /ws/echo',
    'X-Accel-Expires: 10',
    'X-Accel-Limit-Rate: 1',
    'X-Accel-Buffering: yes',
    'X-Accel-Charset: koi8-r',
    'X-Pad: kept',
    'Refresh: 5; url=http://site/elsewhere',
    'own_name: kept',
  ]
  const { gateway } = await startBoth(t, (_, socket) =>
    socket.end(`HTTP/1.1 201 Created\r\n${own.join('\r\n')}\r\nContent-Length: 4\r\n\r\ncaf\xe9`, 'latin1'),
  )
  const answer = await exchange(gateway.port, get('/'))
  assert.match(answer, /^HTTP\/1\.1 201 /)
  assert.deepEqual(headersOf(answer).sort(), [...own, 'Content-Length: 4', 'Connection: close'].sort())
  assert.ok(answer.endsWith('\r\n\r\ncaf\xe9'))
})

test('an answer without a content type gets none', async (t) => {
  const { gateway } = await startBoth(t, (_, socket) =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi'),
  )
  assert.doesNotMatch(await exchange(gateway.port, get('/page.html')), /content-type/i)
})

test('headers of 20 KB pass; with more the log says what was wrong, and with whom nothing came', async (t) => {
  const { gateway } = await startBoth(
    t,
    (request, socket) => {
      const [, path] = request.split(' ')
      if (path === '/closes') return void socket.end()
      const cookies = Array.from(
        { length: path!.startsWith('/many') ? 80 : 20 },
        () => `Set-Cookie: ${'c'.repeat(1000)}\r\n`,
      )
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n${cookies.join('')}\r\nok`)
    },
    { expect: [/the site/] },
  )
  const large = await exchange(gateway.port, get('/large'))
  assert.match(large, /^HTTP\/1\.1 200 /)
  assert.equal(headersOf(large).filter((line) => line.startsWith('Set-Cookie: c')).length, 20)
  for (const path of ['/many?token=secret', '/closes']) {
    assert.match(await exchange(gateway.port, get(path)), /^HTTP\/1\.1 502 /)
  }
  await until('both are logged', () => ['/many', '/closes'].every((path) => gateway.log().includes(`GET ${path}: 502`)))
  assert.match(
    gateway.log(),
    /the site gave no proper answer to GET \/many: 502 \(\S+\): its answer is no HTTP, or has headers that are larger/,
  )
  assert.match(gateway.log(), /the site gave no answer to GET \/closes: 502 \(\S+\): it closed the connection/)
  assert.doesNotMatch(gateway.log(), /secret/)
})

test('nothing is held back: a stream of HTTP/1.0, and an upload while it is sent', async (t) => {
  const held: Socket[] = []
  const { gateway, site } = await startBoth(t, (request, socket) => {
    held.push(socket)
    if (request.startsWith('GET')) socket.write('HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
  })
  const stream = say(gateway.port, get('/events'))
  await until('the first line comes while the answer goes on', () => stream.text().includes('data: 1'))
  held[0]!.end()
  await until('it ends', () => stream.isOver())

  say(gateway.port, 'POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nfirst bytes')
  await until('the first bytes arrive while the upload goes on', () =>
    site.seen.some((text) => text.includes('first bytes')),
  )
})

test('SITE_TIMEOUT and SITE_STREAM_TIMEOUT: how long the site may be silent', async (t) => {
  const { gateway } = await startBoth(
    t,
    (request, socket) => {
      if (request.includes('/never')) return
      if (!request.includes('/late')) return void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin')
      setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate'), 2_000)
    },
    { env: { SITE_TIMEOUT: '1s', SITE_STREAM_TIMEOUT: '1h' }, expect: [/SITE_TIMEOUT/] },
  )
  const stream = say(gateway.port, get('/events', 'Accept: text/event-stream'))
  const never = await exchange(gateway.port, get('/never'))
  assert.match(never, /^HTTP\/1\.1 504 /)
  await until('the log has it', () => gateway.log().includes('GET /never: 504'))
  assert.match(gateway.log(), /the site gave no answer to GET \/never: 504 \(\S+\): it took too long \(SITE_TIMEOUT\)/)
  assert.match(await exchange(gateway.port, get('/late', 'Accept: text/event-stream')), /late$/)
  await until('a page that stops in the middle ends', async () =>
    (await exchange(gateway.port, get('/stops'))).endsWith('begin'),
  )
  assert.ok(!stream.isOver(), 'a stream may be silent for longer')
})

test('a request keeps its headers, also those with _ and . in their names, but none that only the gateway may set', async (t) => {
  const { gateway, site } = await startBoth(t, (_, socket) => socket.end(EMPTY))
  const own = ['api_key: 1', 'x.y: 2', "odd!#$%&'*+-^`|~: 3", 'Authorization: Basic eA==', 'X-Mixed-Case: MiXed']
  const forged = [
    'ce_type',
    'ws.user',
    'x_forwarded_host',
    'X.Forwarded.For',
    'x_real_ip',
    'Forwarded',
    'X-Forwarded-Port',
  ]
  await exchange(gateway.port, get('/a%2Fb//c?d=%20', ...own, ...forged.map((name) => `${name}: forged`)))
  assert.match(site.seen[0]!, /^GET \/a%2Fb\/\/c\?d=%20 HTTP\/1\.1\r\n/)
  assert.deepEqual(
    headersOf(site.seen[0]!).sort(),
    [
      ...own,
      'Host: shop.example',
      'X-Real-IP: 127.0.0.1',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: shop.example',
    ].sort(),
  )
  assert.match(await exchange(gateway.port, get('/', 'no(name): x')), /^HTTP\/1\.1 400 /)
})

test('TRUSTED_PROXIES: the site is told what they said, for pages and WebSockets, and of a list the client’s', async (t) => {
  const { gateway, site } = await startBoth(t, (_, socket) => socket.end(EMPTY), {
    env: { TRUSTED_PROXIES: '127.0.0.1' },
  })
  const said = [
    'X-Forwarded-For: 203.0.113.7',
    'X-Forwarded-Proto: https, http',
    'X-Forwarded-Host: shop.example, inner.example',
  ]
  const upgrade = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
  for (const more of [[], upgrade, ['Accept: text/event-stream']]) {
    await exchange(gateway.port, get('/', ...said, ...more))
    const lines = headersOf(site.seen.at(-1)!)
    for (const line of ['X-Forwarded-For: 203.0.113.7', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop.example'])
      assert.ok(lines.includes(line), lines.join('\n'))
    assert.equal(lines.includes('Upgrade: websocket'), more === upgrade)
  }
  await exchange(gateway.port, get('/', ...said), '127.0.0.9')
  assert.ok(headersOf(site.seen.at(-1)!).includes('X-Forwarded-Proto: http'), 'others are not believed')
})

test('the host of an absolute target wins; a Host that is none is refused', async (t) => {
  const { gateway, site } = await startBoth(t, (_, socket) => socket.end(EMPTY))
  await exchange(
    gateway.port,
    'GET http://target.example:81/page?a=b HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n',
  )
  assert.match(site.seen[0]!, /^GET \/page\?a=b HTTP\/1\.1\r\nHost: target\.example:81\r\n/)
  assert.ok(headersOf(site.seen[0]!).includes('X-Forwarded-Host: target.example:81'))
  for (const host of ['user@host', 'a?b', '[::1', 'a:99999', 'a b', '[zz::1]', 'a%zz', 'a:80:80', '::1']) {
    const answer = await exchange(gateway.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 400 /, host)
  }
  const two = await exchange(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n')
  assert.match(two, /^HTTP\/1\.1 400 /)
  assert.equal(site.seen.length, 1)
  for (const host of ['[::1]:8080', 'a_b.example', 'xn--bcher-kva.example:80', '127.0.0.1', 'a:']) {
    const answer = await exchange(gateway.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 204 /, host)
  }
})
