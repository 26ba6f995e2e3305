// framegate/client in a real browser, as the gateway serves it to the pages of the demo.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { launchBrowser, openPage } from './browser.ts'

type Scene = { browser: Browser; gateway: Gateway }

test('the client in a browser', async (t) => {
  const [gateway, browser] = await Promise.all([startGateway(t), launchBrowser(t)])
  const scene = { browser, gateway }
  await t.test('texts and bytes go out and come back', (t) => exchanges(t, scene))
  await t.test('a gateway that is started again gets what was sent in between', (t) => comesBack(t, scene))
  await t.test('offline: an open connection is lost, and online it dials', (t) => goesOffline(t, scene))
  await t.test('a page that becomes visible dials', (t) => isLookedAt(t, scene))
  await t.test('a URL that is none throws, and so does a code that is not allowed', (t) => throws(t, scene))
})

async function exchanges(t: TestContext, scene: Scene) {
  const { page, problems } = await openClient(t, scene)
  await page.evaluate(() => {
    globalThis.socket.send('text')
    globalThis.socket.send(new Uint8Array([1, 2]))
  })
  await log(page, ['open false', 'text', 'Blob 2'])
  await page.evaluate(() => {
    globalThis.socket.binaryType = 'arraybuffer'
    globalThis.socket.send(new Blob(['three']))
    globalThis.socket.addEventListener('message', () => globalThis.socket.close(4000, 'enough'), { once: true })
  })
  await log(page, ['open false', 'text', 'Blob 2', 'ArrayBuffer 5', 'close 4000'])
  assert.deepEqual(problems, [])
}

async function comesBack(t: TestContext, scene: Scene) {
  const { page } = await openClient(t, scene)
  await log(page, ['open false'])
  await scene.gateway.quit()
  await page.waitForFunction(() => globalThis.socket.readyState === 0)
  await page.evaluate(() => {
    for (const text of ['one', 'two']) globalThis.socket.send(text)
  })
  await scene.gateway.startAgain()
  await log(page, ['open false', 'open true', 'one', 'two'])
}

async function goesOffline(t: TestContext, scene: Scene) {
  const { page } = await openClient(t, scene, { max: 3_600_000 }) // the wait while offline
  await log(page, ['open false'])
  await page.context().setOffline(true)
  await page.waitForFunction(() => globalThis.socket.state === 'waiting')
  await page.evaluate(() => globalThis.socket.send('kept'))
  await page.context().setOffline(false)
  await log(page, ['open false', 'open true', 'kept'])
}

async function isLookedAt(t: TestContext, scene: Scene) {
  const { page } = await openClient(t, scene, { min: 3_600_000, max: 3_600_000 })
  await log(page, ['open false'])
  await scene.gateway.quit()
  await page.waitForFunction(() => globalThis.socket.state === 'waiting')
  await scene.gateway.startAgain()
  // A headless page is always visible, so the browser itself never sends this event.
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })))
  await log(page, ['open false', 'open true'])
}

async function throws(t: TestContext, scene: Scene) {
  const { page } = await openClient(t, scene)
  await log(page, ['open false'])
  const names = await page.evaluate(async () => {
    const nameOf = (act: () => unknown) => {
      try {
        return String(act())
      } catch (error) {
        return (error as Error).name
      }
    }
    const { ReconnectingSocket } = await import(globalThis.clientUrl)
    return [nameOf(() => new ReconnectingSocket('ws://')), nameOf(() => globalThis.socket.close(1001))]
  })
  assert.deepEqual(names, ['SyntaxError', 'InvalidAccessError'])
  assert.equal(await page.evaluate(() => globalThis.socket.state), 'open')
}

declare global {
  var socket: any
  var seen: string[]
  var clientUrl: string
}

/** A page with a socket to /ws/echo, which writes down what it hears. */
async function openClient(t: TestContext, { browser, gateway }: Scene, options: object = {}) {
  const opened = await openPage(t, browser, gateway.url)
  await opened.page.evaluate(
    async ([url, options]) => {
      globalThis.clientUrl = new URL('/client/reconnecting-socket.js', location.href).href
      const { ReconnectingSocket } = await import(globalThis.clientUrl)
      globalThis.seen = []
      globalThis.socket = new ReconnectingSocket(url, [], { min: 50, max: 200, ...(options as object) })
      globalThis.socket.onopen = ({ reconnected }: any) => globalThis.seen.push(`open ${reconnected}`)
      globalThis.socket.onclose = ({ code }: any) => globalThis.seen.push(`close ${code}`)
      globalThis.socket.onmessage = ({ data }: any) =>
        globalThis.seen.push(
          typeof data === 'string' ? data : `${data.constructor.name} ${data.size ?? data.byteLength}`,
        )
    },
    [`${gateway.ws}/ws/echo`, options] as const,
  )
  return opened
}

async function log(page: Page, expected: string[]) {
  await page.waitForFunction((count) => globalThis.seen.length >= count, expected.length)
  assert.deepEqual(await page.evaluate(() => globalThis.seen), expected)
}
