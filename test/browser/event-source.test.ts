// The EventSource of a real browser against the gateway: it comes back by itself, and ends as the HTML standard wants
// (https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model).
import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { launchBrowser, openPage } from './browser.ts'

/** `listed` is a site in ALLOWED_ORIGINS. */
type Scene = { browser: Browser; gateway: Gateway; handler: ProbeHandler; listed: string }

const HEADERS = { 'content-type': 'text/plain', 'ws-session': '60', 'ws-subscribe': 'news' }

test('an EventSource', async (t) => {
  const listed = await startSite(t)
  const [gateway, browser] = await Promise.all([
    startGateway(t, {
      handler: false,
      env: { WORKERS: '1', ALLOWED_ORIGINS: listed },
    }),
    launchBrowser(t),
  ])
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.open') return void response.writeHead(204).end()
    if (event.url === '/ws/no') return void response.writeHead(403).end()
    const { 'ws-session': _, ...plain } = HEADERS
    response.writeHead(200, event.url === '/ws/plain' ? plain : HEADERS).end('welcome')
  })
  const scene = { browser, gateway, handler, listed }
  await t.test('gets what was sent before and after each cut, once and in order', (t) => comesBack(t, scene))
  await t.test('is over after an event close, with a session and without', (t) => isClosed(t, scene))
  await t.test('is over when it comes back to a socket that was closed meanwhile', (t) => isTooLate(t, scene))
  await t.test('is over when the handler answers 403', (t) => isRefused(t, scene))
  await t.test('of another origin needs ALLOWED_ORIGINS', (t) => isForeign(t, scene))
  await t.test('of an origin that is listed there may read', (t) => isListed(t, scene))
  await t.test('that the page closes is a socket that is lost', (t) => leaves(t, scene))
})

/** A site of its own, with one empty page. */
async function startSite(t: TestContext): Promise<string> {
  const server = createHttpServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<link rel="icon" href="data:,">')
  })
  const port = await listenOn(server)
  t.after(() => server.close())
  return `http://127.0.0.1:${port}`
}

async function listenOn(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** A TCP proxy whose connections the test cuts. Those that come between `hold` and `release` wait. */
async function startCuttingProxy(t: TestContext, gatewayPort: number) {
  const clients = new Set<Socket>()
  let held: Socket[] | undefined
  const join = (client: Socket) => {
    const gateway = connect(gatewayPort, '127.0.0.1')
    client.pipe(gateway).pipe(client)
    for (const socket of [client, gateway])
      socket
        .on('error', () => {})
        .on('close', () => {
          clients.delete(client)
          client.destroy()
          gateway.destroy()
        })
  }
  const server = createServer((client) => {
    clients.add(client)
    if (held) held.push(client)
    else join(client)
  })
  const port = await listenOn(server)
  const cut = () => {
    for (const client of clients) client.resetAndDestroy()
  }
  const hold = () => {
    held = []
  }
  const release = () => {
    for (const client of held ?? []) join(client)
    held = undefined
  }
  t.after(() => {
    cut()
    server.close()
  })
  return { url: `http://127.0.0.1:${port}`, cut, hold, release }
}

declare global {
  var source: EventSource
  var written: string[]
}

/** A page with an EventSource, which writes down what it hears. */
async function listen(t: TestContext, scene: Scene, path: string, site = scene.gateway.url): Promise<Page> {
  const { page } = await openPage(t, scene.browser, site, { bypassCSP: true })
  await page.evaluate((path) => {
    globalThis.written = []
    const hear = (text: string) => globalThis.written.push(text)
    globalThis.source = new EventSource(path, { withCredentials: true })
    globalThis.source.onopen = () => hear('open')
    globalThis.source.onmessage = ({ data }) => hear(data)
    globalThis.source.onerror = () => hear(`error ${globalThis.source.readyState}`)
    for (const name of ['close', 'binary', 'reset'])
      globalThis.source.addEventListener(name, ({ data }) => hear(`${name} ${data}`))
  }, path)
  return page
}

const heard = (page: Page): Promise<string[]> => page.evaluate(() => globalThis.written)

async function hears(page: Page, expected: string[]) {
  await page.waitForFunction((count) => globalThis.written.length >= count, expected.length)
  assert.deepEqual(await heard(page), expected)
}

async function connections(gateway: Gateway): Promise<any[]> {
  return (await control(gateway, 'GET', '/connections')).json.connections
}

async function comesBack(t: TestContext, scene: Scene) {
  const { gateway, handler } = scene
  const proxy = await startCuttingProxy(t, gateway.port)
  const page = await listen(t, scene, '/ws/news', proxy.url)
  await hears(page, ['open', 'welcome'])
  const sent: string[] = ['welcome']
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 50; i++) {
      if (i === 25) proxy.cut()
      sent.push(`${round}/${i}`)
      await control(gateway, 'POST', '/topics/news', sent.at(-1))
    }
    const last = sent.at(-1)!
    await page.waitForFunction((last) => globalThis.written.includes(last), last)
  }
  const all = await heard(page)
  assert.deepEqual(
    all.filter((text) => !/^(open|error 0)$/.test(text)),
    sent,
  )
  assert.equal(all.filter((text) => text === 'open').length, 5)
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.open').length, 1)
  await close(scene, page)
}

async function close(scene: Scene, page: Page, whenClosed = () => {}) {
  const [{ id }] = (await connections(scene.gateway)) as [{ id: string }]
  const before = scene.handler.events.filter(({ type }) => type === 'framegate.close').length
  await control(scene.gateway, 'DELETE', `/connections/${id}?code=4001&reason=over`)
  whenClosed()
  await page.waitForFunction(() => globalThis.source.readyState === 2)
  const closes = await until('its close event', () => {
    const all = scene.handler.events.filter(({ type }) => type === 'framegate.close')
    return all.length > before && all
  })
  assert.equal(closes.at(-1)!.headers['ce-closecode'], '4001')
  assert.deepEqual(await connections(scene.gateway), [])
}

async function isClosed(t: TestContext, scene: Scene) {
  for (const path of ['/ws/news', '/ws/plain']) {
    const page = await listen(t, scene, path)
    await hears(page, ['open', 'welcome'])
    await close(scene, page)
    await hears(page, ['open', 'welcome', 'close {"code":4001,"reason":"over"}', 'error 0', 'error 2'])
  }
}

async function isTooLate(t: TestContext, scene: Scene) {
  const proxy = await startCuttingProxy(t, scene.gateway.port)
  const page = await listen(t, scene, '/ws/news', proxy.url)
  await hears(page, ['open', 'welcome'])
  proxy.hold()
  proxy.cut()
  await until('it is away', async () => (await connections(scene.gateway))[0]?.session?.away >= 0)
  await close(scene, page, proxy.release)
  await hears(page, ['open', 'welcome', 'error 0', 'error 2'])
}

async function isRefused(t: TestContext, scene: Scene) {
  const page = await listen(t, scene, '/ws/no')
  await hears(page, ['error 2'])
}

async function isForeign(t: TestContext, scene: Scene) {
  const other = scene.gateway.url.replace('127.0.0.1', 'localhost')
  const page = await listen(t, scene, `${other}/ws/news`)
  await hears(page, ['error 2'])
  await until('the log shows it', () =>
    /origin http:\/\/127\.0\.0\.1:\d+ is not allowed here/.test(scene.gateway.log()),
  )
  await page.evaluate(
    (url) => fetch(url, { mode: 'no-cors', headers: { accept: 'text/event-stream' } }),
    `${other}/ws/news`,
  )
  assert.deepEqual(await connections(scene.gateway), [])
}

async function isListed(t: TestContext, scene: Scene) {
  const page = await listen(t, scene, `${scene.gateway.url}/ws/plain`, scene.listed)
  await hears(page, ['open', 'welcome'])
  await close(scene, page)
  await hears(page, ['open', 'welcome', 'close {"code":4001,"reason":"over"}', 'error 0', 'error 2'])
}

async function leaves(t: TestContext, scene: Scene) {
  const page = await listen(t, scene, '/ws/plain')
  await hears(page, ['open', 'welcome'])
  const [{ id }] = (await connections(scene.gateway)) as [{ id: string }]
  await page.evaluate(() => globalThis.source.close())
  const event = await scene.handler.seen('close', ({ id: own }) => own === `${id}/close`)
  assert.equal(event.headers['ce-closecode'], '1006')
}
