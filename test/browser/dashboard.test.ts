// The dashboard, in a browser and over a gateway with real sockets.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { ask, join, joinMany, leave, type Member } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { launchBrowser } from './browser.ts'
import {
  type DashboardGateway,
  fact,
  openDashboard,
  overflow,
  PATIENCE,
  rows,
  shows,
  startDashboard,
} from './dashboard.ts'

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }
const EVIL = '<img src=x onerror="window.stolen=1">'

type Scene = { browser: Browser; gateway: DashboardGateway }

test('the dashboard', async (t) => {
  const [gateway, browser] = await Promise.all([startDashboard(t), launchBrowser(t)])
  const scene = { browser, gateway }
  await t.test('numbers change while frames and pushes flow', (t) => countsTraffic(t, scene))
  await t.test('connections are found, sorted, and shown with what strangers call themselves as text', (t) =>
    findsConnections(t, scene),
  )
  await t.test('a frame reaches its client, and so does the end', (t) => sendsAndCloses(t, scene))
  await t.test('sockets that closed are listed, with code, cause and reason as text', (t) => listsCloses(t, scene))
  await t.test('a topic shows its members, and what is published reaches them', (t) => publishes(t, scene))
  await t.test('the keyboard is enough', (t) => needsNoMouse(t, scene))
  await t.test('360 pixels are wide enough, light and dark', (t) => fitsPhone(t, scene))
  await t.test('nothing is asked while nobody looks', (t) => restsWhenHidden(t, scene))
  await t.test('of thousands of connections the first are listed, and a search finds all', (t) =>
    boundsTheList(t, scene),
  )
})

test('the dashboard says that the gateway is away, goes on when it is back, and tells when the token is another', async (t) => {
  const [gateway, browser] = await Promise.all([startDashboard(t), launchBrowser(t)])
  const member = await join(gateway, 'news?user=before')
  const { page } = await openDashboard(t, browser, gateway.control)
  await shows(rows(page), 'before')
  await gateway.stop()
  await shows(page.getByRole('alert'), 'The gateway cannot be reached.')
  await shows(page.locator('#state'), 'no answer')
  await shows(rows(page), 'before')
  leave(member)
  const ports = { PORT: String(gateway.port), CONTROL_PORT: new URL(gateway.control).host }
  const again = await startDashboard(t, ports)
  const later = await join(gateway, 'news?user=after')
  t.after(() => leave(later))
  await page.getByRole('alert').waitFor({ state: 'hidden' })
  await shows(page.locator('#state'), 'live')
  await shows(rows(page), 'after')
  assert.equal(await rows(page).count(), 1)
  await again.stop()
  await shows(page.getByRole('alert'), 'The gateway cannot be reached.')
  await startDashboard(t, { ...ports, CONTROL_TOKEN: 'another-token-than-before' })
  await shows(page.getByRole('alert'), 'The token is not accepted any more: sign in again.')
})

/** They leave after the test, and have left before the next one. */
function leaving(t: TestContext, gateway: DashboardGateway, ...members: Member[]) {
  t.after(async () => {
    leave(...members)
    await until('they have left', async () => (await ask(gateway, 'GET', '/connections')).json.count === 0)
  })
}

async function countsTraffic(t: TestContext, { browser, gateway }: Scene) {
  const member = await join(gateway, 'news')
  leaving(t, gateway, member)
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  const tile = (name: string) => page.locator('.tile', { has: page.getByRole('heading', { name, exact: true }) })
  let flows = true
  const flow = (async () => {
    while (flows) {
      await member.client.ask('hello')
      await ask(gateway, 'POST', '/topics/news', { body: 'x' })
      await member.client.next()
    }
  })()
  await shows(tile('Connections').locator('.tile-value'), /^1$/)
  for (const name of ['Frames in', 'Frames out', 'Pushes']) await shows(tile(name).locator('.tile-value'), /[1-9]/)
  await shows(tile('Handler'), 'up', / ms p95/)
  const before = await tile('Frames in').locator('.hint').last().textContent()
  await until(
    'the counters go on',
    async () => (await tile('Frames in').locator('.hint').last().textContent()) !== before,
    PATIENCE,
  )
  assert.match((await tile('Frames in').locator('.spark-line').getAttribute('d')) ?? '', /^M[\d.,]+L/)
  flows = false
  await flow
  for (const pid of gateway.workers()) await shows(page.locator('#workers-rows tr'), String(pid))
  assert.match(await page.title(), /^1 · /)
  assert.deepEqual(problems, [])
}

async function findsConnections(t: TestContext, { browser, gateway }: Scene) {
  const members = [
    await join(gateway, `${encodeURIComponent(EVIL)}?user=${encodeURIComponent(EVIL)}`),
    await join(gateway, 'news?user=Ada'),
    await join(gateway, 'sports?user=Zo%C3%AB'),
  ]
  leaving(t, gateway, ...members)
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  await shows(page.locator('#connections-count'), '3')
  await shows(rows(page).filter({ hasText: EVIL }).locator('.user'), EVIL)
  await shows(rows(page).filter({ hasText: EVIL }).locator('.topics'), EVIL)
  const users = async () => await page.locator('.list .user').allTextContents()
  await page.getByRole('button', { name: 'User' }).click()
  assert.deepEqual(await users(), [EVIL, 'Ada', 'Zoë'])
  await page.getByRole('button', { name: 'User' }).click()
  assert.deepEqual(await users(), ['Zoë', 'Ada', EVIL])
  for (const [needle, found] of [
    ['zoë', 'Zoë'],
    ['NEWS', 'Ada'],
    [members[1]!.id, 'Ada'],
    ['onerror', EVIL],
    ['/ws/in/sports', 'Zoë'],
  ] as const) {
    await page.getByRole('searchbox').fill(needle)
    await until(`${needle} finds ${found}`, async () => String(await users()) === found)
    await shows(page.locator('#list-note'), '1 of 3 connections')
  }
  await page.getByRole('searchbox').fill('127.0.0.1')
  await shows(page.locator('#list-note'), '3 of 3 connections')
  await page.getByRole('searchbox').fill('nobody')
  await shows(page.locator('#list-note'), '0 of 3 connections')
  await page.goto(`${gateway.control}#/topics/${encodeURIComponent(EVIL)}`)
  await shows(page.locator('.members'), EVIL)
  await shows(page.locator('.topic-name'), EVIL)
  await shows(rows(page), EVIL)
  await page.goto(`${gateway.control}#/connections/${members[0]!.id}`)
  await shows(fact(page, 'User'), EVIL)
  assert.equal(await page.locator('.sheet img').count(), 0)
  assert.equal(await page.evaluate('window.stolen'), undefined)
  assert.deepEqual(problems, [])
}

async function sendsAndCloses(t: TestContext, { browser, gateway }: Scene) {
  const { client, id } = await join(gateway, 'news?user=Ada')
  leaving(t, gateway, { client, id })
  const { page } = await openDashboard(t, browser, gateway.control)
  await shows(rows(page), 'Ada')
  await page.getByRole('link', { name: id.slice(-8) }).click()
  await shows(fact(page, 'Id'), id)
  await shows(fact(page, 'Path'), '/ws/in/news')
  assert.doesNotMatch((await fact(page, 'Path').textContent()) ?? '', /user=/, 'queries may hold tokens')
  const outcome = page.locator('[data-send] .outcome')
  await page.getByLabel('Frame', { exact: true }).fill('Grüße')
  await page.getByRole('button', { name: 'Send' }).click()
  assert.equal(await client.next(), 'Grüße')
  await shows(outcome, 'Sent 7 B.')
  await page.getByText('JSON', { exact: true }).click()
  await page.getByLabel('Frame', { exact: true }).fill('{"a":')
  await page.getByRole('button', { name: 'Send' }).click()
  await shows(outcome, 'not sent: this is not JSON')
  await page.getByLabel('Frame', { exact: true }).fill('{"a":1}')
  await page.getByLabel('Frame', { exact: true }).press('Control+Enter')
  assert.equal(await client.next(), '{"a":1}')
  await page.getByText('File', { exact: true }).click()
  await page
    .getByLabel('File becomes one binary frame')
    .setInputFiles({ name: 'bytes.bin', mimeType: 'image/png', buffer: Buffer.from([0, 255, 10]) })
  await page.getByRole('button', { name: 'Send' }).click()
  assert.deepEqual(await client.next(), Buffer.from([0, 255, 10]))
  await ask(gateway, 'PUT', `/topics/later/connections/${id}`)
  await shows(page.locator('[data-topics]'), 'later')
  await page.getByLabel('Code').fill('99')
  await page.getByRole('button', { name: 'Close' }).click()
  await shows(page.locator('[data-close-form] .outcome'), '400: code is 1000 or 3000 to 4999')
  await page.getByLabel('Code').fill('4001')
  await page.getByLabel('Reason').fill('signed out & away')
  await page.getByRole('button', { name: 'Close' }).click()
  assert.deepEqual(await client.closed, { code: 4001, reason: 'signed out & away' })
  await shows(page.locator('[data-gone]'), 'This connection is gone.')
  await page.getByRole('button', { name: 'Send' }).click()
  await shows(outcome, '410: this connection is gone, or never was')
}

async function listsCloses(t: TestContext, { browser, gateway }: Scene) {
  const strange = await join(gateway, `news?user=${encodeURIComponent(EVIL)}&token=secret`)
  const lost = await join(gateway, 'news?user=Ada')
  leaving(t, gateway, lost)
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  await page.goto(`${gateway.control}#/connections/${lost.id}`)
  await shows(fact(page, 'User'), 'Ada')
  await strange.client.close(4001, EVIL)
  await until('its end is known', async () => (await ask(gateway, 'GET', `/connections/${strange.id}`)).status === 410)
  lost.client.socket.terminate()
  await page.getByRole('link', { name: 'How it ended' }).click()
  await shows(fact(page, 'Code'), '1006 no close frame.')
  await shows(fact(page, 'Cause'), 'lost: the connection broke')
  await page.getByRole('link', { name: 'Back' }).click()
  await shows(rows(page).nth(0), lost.id.slice(-8), '1006 no close frame', 'lost', 'Ada')
  await shows(rows(page).nth(1), strange.id.slice(-8), '4001 application', 'client', EVIL)
  await page.getByRole('searchbox').fill(strange.id.toLowerCase())
  await shows(page.locator('#list-note'), /^1 of \d+ closed connections$/)
  await page.getByRole('link', { name: strange.id.slice(-8) }).click()
  for (const term of ['User', 'Reason']) await shows(fact(page, term), EVIL)
  await shows(fact(page, 'Path'), /^\/ws\/in\/news$/)
  assert.equal(await page.evaluate('window.stolen'), undefined)
  await page.goto(`${gateway.control}#/closes/nobody`)
  await shows(page.locator('[data-note]'), 'not among the last 1,000')
  assert.ok(
    problems.every((problem) => problem.includes('410')),
    String(problems),
  )
}

async function publishes(t: TestContext, { browser, gateway }: Scene) {
  const members = [
    await join(gateway, 'cakes?user=Ada'),
    await join(gateway, 'cakes?user=Grace'),
    await join(gateway, 'tea?user=Cy'),
  ]
  leaving(t, gateway, ...members)
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  await page.getByRole('link', { name: 'Topics' }).click()
  await shows(page.locator('#topics-count'), '2')
  await shows(rows(page), 'tea')
  assert.deepEqual(await rows(page).allInnerTexts(), ['cakes\t2', 'tea\t1'])
  await page.getByRole('link', { name: 'cakes' }).click()
  await page.getByLabel('Frame', { exact: true }).fill('Cake is served')
  await page.getByRole('button', { name: 'Send' }).click()
  for (const { client } of members.slice(0, 2)) assert.equal(await client.next(), 'Cake is served')
  await shows(page.locator('[data-send] .outcome'), 'Delivered to 2, dropped for 0.')
  await page.locator('.members').getByRole('link', { name: 'Grace' }).click()
  await shows(fact(page, 'Id'), members[1]!.id)
  assert.equal(await members[2]!.client.ask('nothing came before'), 'nothing came before')
  assert.deepEqual(problems, [])
}

async function needsNoMouse(t: TestContext, { browser, gateway }: Scene) {
  const member = await join(gateway, 'news?user=Ada')
  leaving(t, gateway, member)
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  await shows(rows(page), 'Ada')
  await page.keyboard.press('/')
  await page.keyboard.type('ada')
  await shows(page.locator('#list-note'), '1 of 1 connections')
  const link = page.getByRole('link', { name: member.id.slice(-8) })
  await until('the link has the focus', async () => {
    await page.keyboard.press('Tab')
    return link.evaluate((element) => element === document.activeElement)
  })
  await page.keyboard.press('Enter')
  await shows(fact(page, 'User'), 'Ada')
  await page.keyboard.press('Escape')
  await page.locator('#detail').waitFor({ state: 'hidden' })
  assert.ok(await link.evaluate((element) => element === document.activeElement), 'the focus is back in the list')
  assert.deepEqual(problems, [])
}

async function fitsPhone(t: TestContext, { browser, gateway }: Scene) {
  const wide = 'W'.repeat(90)
  const member = await join(gateway, `${wide}?user=${wide}`)
  leaving(t, gateway, member)
  for (const colorScheme of ['light', 'dark'] as const) {
    const options: BrowserContextOptions = { ...PHONE, colorScheme }
    const { page, problems } = await openDashboard(t, browser, gateway.control, options)
    await shows(rows(page), wide)
    assert.equal(await overflow(page), 0)
    const [background, ink] = await page.evaluate(() => [
      getComputedStyle(document.body).backgroundColor,
      getComputedStyle(document.body).color,
    ])
    assert.equal(colorScheme === 'dark', Number(/\d+/.exec(background!)![0]) < Number(/\d+/.exec(ink!)![0]))
    await rows(page).click()
    await shows(fact(page, 'User'), wide)
    assert.equal(await overflow(page), 0)
    await page.locator('[data-topics] a').click()
    await shows(page.locator('.topic-name'), wide)
    assert.equal(await overflow(page), 0)
    await page.getByRole('link', { name: 'Back' }).click()
    await shows(rows(page), wide)
    await page.getByRole('link', { name: 'Closed' }).click()
    await shows(rows(page), '4001 application')
    assert.equal(await overflow(page), 0)
    await rows(page).first().click()
    await shows(fact(page, 'Code'), /^\d{4} /)
    assert.equal(await overflow(page), 0)
    assert.deepEqual(problems, [])
  }
}

async function restsWhenHidden(t: TestContext, { browser, gateway }: Scene) {
  const { page } = await openDashboard(t, browser, gateway.control)
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  const look = (hidden: boolean) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    }, hidden)
  await page.clock.install()
  await look(true)
  asked.splice(0)
  await page.clock.runFor(60_000)
  assert.equal(asked.length, 0, asked.join())
  await look(false)
  await until(
    'it asks again',
    () => asked.some((url) => url.endsWith('/status')) && asked.some((url) => url.includes('/connections?')),
  )
}

async function boundsTheList(t: TestContext, { browser, gateway }: Scene) {
  const crowd = await joinMany(gateway, 'crowd', 2_050)
  leaving(t, gateway, ...crowd)
  const last = crowd
    .map(({ id }) => id)
    .sort()
    .at(-1)!
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  await shows(page.locator('#list-note'), 'The first 2,000 of 2,050 connections by id. A search covers all of them.')
  assert.equal(await rows(page).count(), 100)
  await page.getByRole('button', { name: 'Show more (1,900 hidden)' }).click()
  assert.equal(await rows(page).count(), 200)
  await page.getByRole('searchbox').fill(last)
  await shows(page.locator('#list-note'), '1 of 2,050 connections')
  await shows(rows(page), last.slice(-8))
  assert.deepEqual(problems, [])
}
