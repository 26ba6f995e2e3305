// The page of the console, in Chromium.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import { startGateway } from '../support/gateway.ts'
import { launchBrowser, type OpenedPage, openPage } from './browser.ts'

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }

type Open = (t: TestContext, options?: BrowserContextOptions) => Promise<OpenedPage>
type Direction = 'sent' | 'received' | 'note' | 'closed'

test('the console page, in a browser and through the gateway', async (t) => {
  const [{ url }, browser] = await Promise.all([startGateway(t), launchBrowser(t)])
  const open: Open = (t, options) => openPage(t, browser, url, options)

  await t.test('text goes out and comes back', (t) => echoesText(t, open))
  await t.test('JSON is answered, and a bad frame with its validation error', (t) => answersJson(t, open))
  await t.test('a form is read', (t) => readsForm(t, open))
  await t.test('a file goes out as one binary frame and comes back', (t) => echoesFile(t, open))
  await t.test('a message that is too big closes with 1009', (t) => closesWhenTooBig(t, open))
  await t.test('what is connected is shown beside what is typed, and can be disconnected', (t) => disconnects(t, open))
  await t.test('close tells code and reason, and stays closed', (t) => closes(t, open))
  await t.test('a refused handshake is tried again until it is closed', (t) => triesAgain(t, open))
  await t.test('what cannot be sent is refused with a sentence', (t) => refusesToSend(t, open))
  await t.test('the log keeps 500 entries', (t) => boundsLog(t, open))
  await t.test('the keyboard is enough', (t) => needsNoMouse(t, open))
  await t.test('360 pixels are wide enough', (t) => fitsPhone(t, open))
})

async function echoesText(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/echo')
  await sendText(page, 'Grüße, 👋')
  await shows(entries(page, 'sent'), 'text, 13 B', 'Grüße, 👋')
  await shows(entries(page, 'received'), 'text, 13 B', 'Grüße, 👋')
  assert.deepEqual(problems, [])
}

async function answersJson(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/time')
  await page.getByRole('button', { name: 'Time in Berlin' }).click()
  await send(page)
  await shows(entries(page, 'received').nth(0), 'text, JSON', 'Europe/Berlin')
  await page.getByRole('button', { name: 'Bad frame' }).click()
  await send(page)
  await shows(entries(page, 'received').nth(1), '"statusCode": 400', 'zone must be string')
  assert.match(await classes(entries(page, 'received').nth(1)), /failed/)
  assert.doesNotMatch(await classes(entries(page, 'received').nth(0)), /failed/)
  assert.equal(await state(page), 'open')
  assert.deepEqual(problems, [])
}

async function readsForm(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/form')
  await page.getByRole('button', { name: 'With spaces' }).click()
  await send(page)
  await shows(entries(page, 'received'), 'Ada Lovelace', 'bread & butter')
  assert.deepEqual(problems, [])
}

async function echoesFile(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/echo')
  await choose(page, 'File')
  const buffer = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 256))
  await page
    .getByLabel('File becomes one binary frame')
    .setInputFiles({ name: 'bytes.bin', mimeType: 'application/octet-stream', buffer })
  await send(page)
  for (const direction of ['sent', 'received'] as const) {
    await shows(entries(page, direction), 'binary, 300 B', '00 01 02 03', '0123456789', '… and 204 more bytes')
  }
  assert.deepEqual(problems, [])
}

async function closesWhenTooBig(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/echo')
  await choose(page, 'File')
  const buffer = Buffer.alloc(2 * 1024 * 1024)
  await page
    .getByLabel('File becomes one binary frame')
    .setInputFiles({ name: 'big.bin', mimeType: 'application/octet-stream', buffer })
  await send(page)
  await shows(entries(page, 'closed'), '1009 too big', 'larger than the gateway accepts')
  await reaches(page, 'closed')
  assert.deepEqual(problems, [])
}

async function closes(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/echo')
  await choose(page, 'Close')
  await page.getByLabel('Code').fill('4001')
  await page.getByLabel('Reason').fill('signed out')
  await page.getByRole('button', { name: 'Close' }).click()
  await shows(entries(page, 'note').last(), '4001', 'signed out')
  await shows(entries(page, 'closed'), '4001 application, clean')
  await reaches(page, 'closed')
  assert.deepEqual(await titles(page), ['Connecting', 'Open', 'Closing', 'Closed'])
  assert.deepEqual(problems, [])
}

async function disconnects(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  const disconnect = page.getByRole('button', { name: 'Disconnect' })
  const target = page.locator('#target')
  await shows(target, 'connect first')
  assert.equal(await disconnect.count(), 0)
  await connect(page, '/ws/echo')
  await shows(target, 'Frames go to /ws/echo.')
  await page.getByRole('button', { name: '/ws/time' }).click()
  await shows(page.locator('#connected'), '/ws/echo')
  await shows(target, 'Frames go to /ws/echo until you connect to /ws/time.')
  await send(page)
  await shows(entries(page, 'received'), 'Europe/Berlin')
  assert.equal(await entries(page, 'received').filter({ hasText: '"time"' }).count(), 0)
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await shows(target, 'Frames go to /ws/time.')
  await disconnect.click()
  await shows(entries(page, 'closed').last(), '/ws/time, 1000 normal, clean')
  await reaches(page, 'closed')
  assert.equal(await page.locator('#connected').textContent(), '')
  await disconnect.waitFor({ state: 'hidden' })
  assert.deepEqual(problems, [])
}

async function triesAgain(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await page.getByLabel('Path', { exact: true }).fill('/ws/nowhere')
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await shows(entries(page, 'closed').nth(1), '1006 no connection, not clean', 'handshake was refused')
  await shows(entries(page, 'note').filter({ hasText: 'Waiting' }).nth(1), 'next try in')
  await page.getByLabel('Reconnect').uncheck()
  await reaches(page, 'closed')
  assert.notEqual(problems.length, 0, 'the browser itself writes refused handshakes to its console')
}

async function refusesToSend(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  const problem = page.getByRole('alert')
  await send(page)
  await shows(problem, 'not sent: connect first')
  await choose(page, 'JSON')
  await page.getByLabel('Frame', { exact: true }).fill('{ "zone": ')
  await send(page)
  await shows(problem, 'not sent: this is not JSON')
  await choose(page, 'File')
  await send(page)
  await shows(problem, 'not sent: choose a file first')
  await connect(page, '/ws/echo')
  await choose(page, 'Close')
  await page.getByLabel('Code').fill('1001')
  await page.getByRole('button', { name: 'Close' }).click()
  await shows(problem, 'not closed: use 1000, or 3000 to 4999')
  assert.equal(await entries(page, 'sent').count(), 0)
  assert.deepEqual(problems, [])
}

async function boundsLog(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await connect(page, '/ws/echo')
  await page.evaluate(() => {
    const form = document.querySelector<HTMLFormElement>('#message-form')
    const text = document.querySelector<HTMLTextAreaElement>('#text')
    for (let number = 1; form && text && number <= 300; number += 1) {
      text.value = `frame ${number}`
      form.requestSubmit()
    }
  })
  await shows(page.locator('.entry').last(), 'Received', 'frame 300')
  assert.equal(await page.locator('.entry').count(), 500)
  await shows(page.locator('#log-total'), '500 entries, 102 older ones removed')
  const rest = await page.locator('#log').evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop)
  assert.ok(rest < 2, `the log stands ${rest} pixels above its end`)
  await page.getByRole('button', { name: 'Clear' }).click()
  await shows(page.locator('#log-total'), '0 entries')
  assert.deepEqual(problems, [])
}

async function needsNoMouse(t: TestContext, open: Open) {
  const { page, problems } = await open(t)
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await reaches(page, 'open')
  await page.getByLabel('Frame', { exact: true }).focus()
  await page.keyboard.press('Control+Enter')
  await shows(entries(page, 'received'), 'Hello, gate!')
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await shows(entries(page, 'closed'), '1000 normal, clean')
  assert.deepEqual(problems, [])
}

async function fitsPhone(t: TestContext, open: Open) {
  const { page, problems } = await open(t, PHONE)
  assert.equal(await overflow(page), 0)
  await connect(page, '/ws/echo')
  await sendText(page, 'x'.repeat(2_000))
  await shows(entries(page, 'received'), 'x'.repeat(2_000))
  for (const kind of ['Text', 'JSON', 'File', 'Close']) {
    await choose(page, kind)
    assert.equal(await overflow(page), 0, kind)
  }
  assert.equal(await page.locator('#log').evaluate((log) => log.scrollWidth - log.clientWidth), 0)
  assert.deepEqual(problems, [])
}

async function connect(page: Page, path: string) {
  await page.getByRole('button', { name: path }).click()
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await reaches(page, 'open')
}

async function choose(page: Page, kind: string) {
  await page.getByRole('group', { name: 'What to send' }).getByText(kind, { exact: true }).click()
}

async function sendText(page: Page, text: string) {
  await choose(page, 'Text')
  await page.getByLabel('Frame', { exact: true }).fill(text)
  await send(page)
}

async function send(page: Page) {
  await page.getByRole('button', { name: 'Send' }).click()
}

function entries(page: Page, direction: Direction): Locator {
  return page.locator(`.entry[data-direction="${direction}"]`)
}

/** Waits until the element holds all of these texts. */
async function shows(locator: Locator, ...texts: string[]) {
  await texts.reduce((found, hasText) => found.filter({ hasText }), locator).waitFor()
}

async function reaches(page: Page, wanted: string) {
  await page.locator(`#state[data-state="${wanted}"]`).waitFor()
}

async function state(page: Page) {
  return page.locator('#state').textContent()
}

async function titles(page: Page) {
  return page.locator('.entry-title').allTextContents()
}

async function classes(locator: Locator) {
  return (await locator.getAttribute('class')) ?? ''
}

async function overflow(page: Page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}
