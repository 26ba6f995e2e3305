// Sessions of framegate/client in a real browser: what a page sends and gets over a bad network.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { startApp } from '../support/app.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { launchBrowser, openPage } from './browser.ts'

const FRAMES = 300

type Scene = { browser: Browser; gateway: Gateway; arrived: string[]; events: string[]; id: () => string }

test('a session in a browser', async (t) => {
  const [gateway, browser] = await Promise.all([startGateway(t, { handler: false, env: {} }), launchBrowser(t)])
  const arrived: string[] = []
  const events: string[] = []
  let id = ''
  await startApp(t, gateway.handlerSocket, {
    routes: (app) =>
      app.ws('/ws/count', {
        session: '1m',
        open(request) {
          id = request.event.connectionId
          events.push('open')
        },
        message(request) {
          arrived.push(String(request.body))
          return request.body
        },
        close: () => void events.push('close'),
      }),
  })
  const scene = { browser, gateway, arrived, events, id: () => id }
  for (const [name, play] of [
    ['a bad network loses nothing and doubles nothing', survivesCuts],
    ['what a page received while its script was blocked is not lost', survivesBlocking],
    ['offline and online again it goes on', survivesOffline],
  ] as const)
    await t.test(name, async (t) => {
      arrived.length = events.length = 0
      await play(t, scene)
    })
})

declare global {
  var Client: any
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i + 1))

async function survivesCuts(t: TestContext, scene: Scene) {
  const seed = 'chromium'
  const proxy = await startCuttingProxy(t, { target: () => scene.gateway.port, seed, meanBytes: 400, isCalm: true })
  const page = await openCounter(t, scene, proxy.port, () => proxy.storm())
  await page.evaluate(async (count) => {
    for (let i = 1; i <= count; i += 1) {
      globalThis.socket.send(String(i))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }, FRAMES)
  proxy.calm()
  await page.waitForFunction((count) => globalThis.seen.length >= count, FRAMES, { timeout: 30_000 })
  assert.deepEqual([await seenBy(page), scene.arrived], [numbers(FRAMES), numbers(FRAMES)])
  const broken = Object.values(proxy.counts).reduce((sum, count) => sum + count)
  assert.ok(broken > 5, `${broken} connections broke`)
  await closes(page, scene)
}

async function survivesBlocking(t: TestContext, scene: Scene) {
  const page = await openCounter(t, scene, scene.gateway.port)
  await page.waitForFunction(() => globalThis.socket.state === 'open')
  const blocked = page.evaluate(() => {
    for (const end = performance.now() + 3000; performance.now() < end; );
    globalThis.dispatchEvent(new Event('offline'))
  })
  for (const text of numbers(50))
    assert.equal((await control(scene.gateway, 'POST', `/connections/${scene.id()}`, text)).status, 200)
  await until('the browser has confirmed them', async () => {
    const { json } = await control(scene.gateway, 'GET', `/connections/${scene.id()}`)
    return json.session.unacknowledged === 0
  })
  await blocked
  await page.waitForFunction(() => globalThis.seen.length >= 50 && globalThis.socket.state === 'open')
  assert.deepEqual(await seenBy(page), numbers(50))
  await closes(page, scene)
}

async function survivesOffline(t: TestContext, scene: Scene) {
  const page = await openCounter(t, scene, scene.gateway.port)
  await page.waitForFunction(() => globalThis.socket.state === 'open')
  await page.context().setOffline(true)
  await page.waitForFunction(() => globalThis.socket.state === 'waiting')
  await page.evaluate(() => globalThis.socket.send('1'))
  await page.context().setOffline(false)
  await page.waitForFunction(() => globalThis.seen.length === 1)
  assert.deepEqual(scene.arrived, ['1'])
  await closes(page, scene)
}

/** One open, nothing lost, and one close event. Without a connection, the session would wait for the page. */
async function closes(page: Page, { events }: Scene) {
  await page.waitForFunction(() => globalThis.socket.state === 'open')
  await page.evaluate(() => globalThis.socket.send('bye'))
  await page.waitForFunction(() => globalThis.seen.at(-1) === 'bye')
  await page.evaluate(() => globalThis.socket.close(1000))
  await until('the close event', () => events.includes('close'))
  assert.deepEqual(events, ['open', 'close'])
}

const seenBy = (page: Page): Promise<string[]> => page.evaluate(() => globalThis.seen)

/** A page with a session, which notes what it gets, and what it loses. */
async function openCounter(t: TestContext, { browser }: Scene, port: number, isLoaded = () => {}): Promise<Page> {
  const { page } = await openPage(t, browser, `http://127.0.0.1:${port}`)
  await page.evaluate(async () => {
    const { ReconnectingSocket } = await import(new URL('/client/reconnecting-socket.js', location.href).href)
    globalThis.Client = ReconnectingSocket
  })
  isLoaded()
  await page.evaluate(() => {
    const url = new URL('/ws/count', location.href.replace('http', 'ws'))
    globalThis.seen = []
    globalThis.socket = new globalThis.Client(url, [], { session: true, min: 20, max: 200, timeout: 3000 })
    globalThis.socket.onmessage = ({ data }: any) => globalThis.seen.push(data)
    globalThis.socket.onlost = () => globalThis.seen.push('lost')
  })
  return page
}
