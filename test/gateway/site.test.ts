// The site behind the gateway.
import assert from 'node:assert/strict'
import { Agent, createServer, get, type IncomingMessage } from 'node:http'
import { type TestContext, test } from 'node:test'
import { WebSocketServer } from 'ws'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'

async function startSite(t: TestContext): Promise<{ port: number; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    let size = 0
    request
      .on('data', (chunk) => {
        size += chunk.length
      })
      .on('end', () => response.end(`site ${request.url} ${size}`))
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`site says ${data}`)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    sockets.clients.forEach((each) => each.terminate())
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, requests }
}

test('everything outside SOCKET_PATH is the site’s: pages, uploads, its own WebSockets, with the usual forwarded headers', async (t) => {
  const site = await startSite(t)
  const gateway = await startGateway(t, { env: { SITE_URL: `http://localhost:${site.port}` } })
  const answer = await fetch(`${gateway.url}/page?a=1`, {
    headers: {
      'ce-type': 'framegate.open',
      'ws-user': 'root',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '1',
      forwarded: 'for=6.6.6.6',
      'x-own': 'kept',
    },
  })
  assert.equal(await answer.text(), 'site /page?a=1 0')
  const { headers } = site.requests[0]!
  assert.equal(headers.host, `127.0.0.1:${gateway.port}`)
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.equal(headers['x-forwarded-proto'], 'http')
  assert.equal(headers['x-own'], 'kept')
  for (const name of ['ce-type', 'ws-user', 'x-forwarded-port', 'forwarded'])
    assert.equal(headers[name], undefined, name)
  const upload = await fetch(`${gateway.url}/upload`, { method: 'POST', body: Buffer.alloc(3_000_000) })
  assert.equal(await upload.text(), 'site /upload 3000000')
  const socket = await open(`${gateway.ws}/its/own/socket`)
  assert.equal(await socket.ask('hello'), 'site says hello')
  await socket.close()
  assert.equal((await fetch(`${gateway.url}/ws/echo`)).status, 426, 'a plain request for a socket is never proxied')
  const batch = await fetch(gateway.url, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.framegate.batch+json' },
    body: '[]',
  })
  assert.equal(batch.status, 415, 'a batch from outside is refused')
  assert.equal(site.requests.length, 2)
})

test('a site that is away is a 502 for its visitors only', async (t) => {
  const gateway = await startGateway(t, {
    env: { SITE_URL: 'http://no-such-host.invalid' },
    expect: [/the site gave no answer to GET .*no-address-is-known/],
  })
  assert.equal((await fetch(gateway.url)).status, 502)
  const socket = await open(`${gateway.ws}/ws/echo`)
  assert.equal(await socket.ask('sockets go on'), 'sockets go on')
  await socket.close()
})

test('the demo site is served while SITE_URL is not set', async (t) => {
  const gateway = await startGateway(t)
  const page = await fetch(gateway.url)
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-type')!, /^text\/html/)
  assert.match(await page.text(), /framegate/)
  for (const path of ['/chat.html', '/client/reconnecting-socket.js', '/shared/style.css', '/shared/icon.svg'])
    assert.equal((await fetch(gateway.url + path)).status, 200, path)
  for (const path of ['/dashboard/index.html', '/shared/..%2fdashboard/main.js', '/web/demo/index.html'])
    assert.equal((await fetch(gateway.url + path)).status, 404, path)
})

function page(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: new Agent({ keepAlive: true }) }, (response) => {
      let body = ''
      response
        .on('data', (chunk) => {
          body += chunk
        })
        .on('end', () => resolve(body))
    }).on('error', reject)
  })
}

test('3.1: a page of a site that sends 103 in front of it comes without delay, and so do those after it', async (t) => {
  const server = createServer((request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(`page ${request.url}`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const gateway = await startGateway(t, { handler: false, env: { SITE_URL: `http://127.0.0.1:${port}` } })
  const began = performance.now()
  // Each over a connection of its own: the first of all is there for others when the site has closed its own.
  for (let i = 0; i < 5; i++) assert.equal(await page(gateway.port, `/${i}`), `page /${i}`)
  const took = performance.now() - began
  assert.ok(took < 4000, `${took} ms: nginx and the site close an idle connection after 4 and 5 s`)
})
