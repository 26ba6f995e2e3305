// Pages whose network swallows packets: the browser itself reports nothing, and the pages notice.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { startGateway } from '../support/gateway.ts'
import { startSwallowingProxy } from '../support/swallowing-proxy.ts'
import { launchBrowser, openPage, stopTime } from './browser.ts'

type Scene = { browser: Browser; port: number }

test('a network that swallows packets', async (t) => {
  const [{ port }, browser] = await Promise.all([
    startGateway(t, {
      env: (run) => ({ CONTROL_SOCKET: `${run}/control/control.sock`, HANDLER_LOG_LEVEL: 'silent' }),
    }),
    launchBrowser(t),
  ])
  const scene = { browser, port }
  await t.test('the chat notices a message without an answer, and sends it again', (t) => resends(t, scene))
  await t.test('the console notices a frame without an answer', (t) => reports(t, scene))
  await t.test('a page that only listens notices when the browser goes offline', (t) => notices(t, scene))
})

async function resends(t: TestContext, { browser, port }: Scene) {
  const network = await startSwallowingProxy(t, port)
  const page = await enterChat(t, browser, network.url)
  await stopTime(page)
  network.swallow()
  await page.getByLabel('Message', { exact: true }).fill('Is anybody there?')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('.message.pending', { hasText: 'Is anybody there?' }).waitFor()
  await page.clock.fastForward(19_000)
  assert.equal(await page.locator('#state').textContent(), 'connected', 'an answer may take 20 s')
  assert.notEqual(network.silent(), 0, 'the browser has not noticed')
  await page.clock.fastForward(2_000)
  await page.clock.resume()
  await page.locator('.message.own:not(.pending)', { hasText: 'Is anybody there?' }).waitFor()
  await page.locator('.notice', { hasText: 'You are back, and missed nothing.' }).waitFor()
}

async function reports(t: TestContext, { browser, port }: Scene) {
  const network = await startSwallowingProxy(t, port)
  const { page, problems } = await openPage(t, browser, network.url)
  await page.clock.install()
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await page.locator('#state[data-state="open"]').waitFor()
  network.swallow()
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('.entry[data-direction="sent"]').waitFor()
  await page.clock.fastForward(21_000)
  await page.locator('.entry.failed', { hasText: '1006 no close frame' }).filter({ hasText: 'no answer' }).waitFor()
  await page.locator('.entry-title', { hasText: 'Open' }).nth(1).waitFor()
  assert.deepEqual(problems, [])
}

async function notices(t: TestContext, { browser, port }: Scene) {
  const network = await startSwallowingProxy(t, port)
  const page = await enterChat(t, browser, network.url)
  network.swallow()
  await page.context().setOffline(true)
  await page.locator('.banner', { hasText: 'No connection.' }).waitFor()
  await page.context().setOffline(false)
  await page.locator('.notice', { hasText: 'You are back, and missed nothing.' }).waitFor()
  await page.locator('.banner').waitFor({ state: 'hidden' })
}

/** A page whose time the test moves, in the chat. */
async function enterChat(t: TestContext, browser: Browser, url: string): Promise<Page> {
  const { page } = await openPage(t, browser, `${url}/chat.html`)
  await page.clock.install()
  await page.getByRole('textbox', { name: 'Your name' }).fill('Ada')
  await page.getByRole('button', { name: 'Join the chat' }).click()
  await page.locator('.notice', { hasText: 'You are in' }).waitFor()
  return page
}
