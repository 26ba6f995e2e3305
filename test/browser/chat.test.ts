// The page of the chat, in Chromium.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import chat from '../../handler/routes/chat.ts'
import { hueOf, initialsOf } from '../../web/demo/avatar.js'
import { People } from '../../web/demo/people.js'
import { roomNamed } from '../../web/demo/rooms.js'
import { Clock } from '../client/fake.ts'
import { startApp } from '../support/app.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startSwallowingProxy } from '../support/swallowing-proxy.ts'
import { until } from '../support/wait.ts'
import { launchBrowser, type OpenedPage, openPage, stopTime } from './browser.ts'

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }

type EnterOptions = BrowserContextOptions & { room?: string }
type Enter = (t: TestContext, name: string, options?: EnterOptions) => Promise<OpenedPage>

test('the chat, in a browser and through the gateway', async (t) => {
  const [gateway, browser] = await Promise.all([startChat(t), launchBrowser(t)])
  const enter: Enter = (t, name, options) => enterChat(t, browser, gateway, name, options)

  await t.test('two people see each other come, speak and go', (t) => talk(t, enter))
  await t.test('a name that will not do is asked for again, kindly', (t) => asksAgain(t, browser, gateway))
  await t.test('two tabs of one person are one person', (t) => sharesTabs(t, enter))
  await t.test('a page that is loaded again is back without leaving', (t) => comesBack(t, enter))
  await t.test('rooms are apart, and a link leads into one', (t) => changesRooms(t, enter))
  await t.test('what somebody pushes to the room from outside is shown', (t) => showsPush(t, enter, gateway))
  await t.test('375 pixels show every control of the rooms as a whole', (t) => showsRooms(t, enter))
  await t.test('360 pixels are wide enough, and the keyboard is enough', (t) => fitsPhone(t, enter))
})

test('typing over the rate gets a kind notice, and every message arrives', async (t) => {
  const [gateway, browser] = await Promise.all([startChat(t, { MESSAGE_RATE: '1' }), launchBrowser(t)])
  const { page: ada, problems } = await enterChat(t, browser, gateway, 'Ada')
  await ada.clock.install()
  await stopTime(ada)
  await ada.evaluate(() => {
    const text = document.querySelector<HTMLTextAreaElement>('#text')
    for (const word of ['one', 'two', 'three']) {
      text!.value = word
      text!.form!.requestSubmit()
    }
  })
  await shows(ada.getByRole('status'), 'That was quick! Your message goes out by itself in a second.')
  await shows(ada.locator('.message.own.pending'), 'three')
  await until('all have gone out', async () => {
    await ada.clock.runFor(1000)
    return (await said(ada).count()) === 3
  })
  await ada.clock.resume()
  assert.deepEqual(await words(said(ada)), ['one', 'two', 'three'])
  await ada.locator('#notice:empty').waitFor({ state: 'attached' })
  assert.deepEqual(problems, [])
})

test('after a restart of the gateway everybody is back, and nothing typed in between is lost', async (t) => {
  const [gateway, browser] = await Promise.all([startChat(t), launchBrowser(t)])
  const { page: ada } = await enterChat(t, browser, gateway, 'Ada')
  const { page: grace } = await enterChat(t, browser, gateway, 'Grace')
  await gateway.stop()
  for (const page of [ada, grace]) await shows(page.locator('.banner'), 'No connection.')
  await type(ada, 'Is this thing on?')
  await shows(ada.locator('.message.own.pending'), 'Is this thing on?')
  await startChat(t, { PORT: String(gateway.port) })
  // As the browser does when its network is back. Without it, the next dial may be 30 s away.
  for (const page of [ada, grace]) await page.evaluate(() => dispatchEvent(new Event('online')))
  for (const page of [ada, grace]) {
    await shows(page.locator('.notice'), 'Messages of others are missing here.')
    await shows(page.locator('.notice'), 'You are back.')
    await page.locator('.banner').waitFor({ state: 'hidden' })
    await shows(page.locator('#people-count'), '2')
    assert.deepEqual(await people(page), ['Ada', 'Grace'])
  }
  await shows(said(ada), 'Is this thing on?')
  await type(ada, 'It is.')
  await shows(heard(grace), 'It is.')
})

test('who is offline for a moment misses nothing, and nobody sees them leave', async (t) => {
  const [gateway, browser] = await Promise.all([startChat(t, { DRAIN_SECONDS: '1s' }), launchBrowser(t)])
  const { page: ada } = await enterChat(t, browser, gateway, 'Ada')
  const network = await startSwallowingProxy(t, gateway.port)
  const { page: grace } = await enterChat(t, browser, { ...gateway, url: network.url }, 'Grace')
  network.swallow() // Chromium alone would keep the old connection
  await grace.context().setOffline(true)
  await shows(grace.locator('.banner'), 'No connection.')
  await shows(grace.locator('#state'), 'reconnecting')
  for (const text of ['one', 'two']) await type(ada, text)
  await type(grace, 'from afar')
  await shows(said(ada), 'two')
  await grace.context().setOffline(false)
  await shows(grace.locator('.notice'), 'You are back, and missed nothing.')
  await shows(heard(grace), 'two')
  await shows(heard(ada), 'from afar')
  await gateway.reload()
  await type(ada, 'three')
  await until('the old workers are gone', () => gateway.workers().length === 2)
  await type(ada, 'four')
  await shows(heard(grace), 'four')
  assert.deepEqual(await words(heard(grace)), ['one', 'two', 'three', 'four'])
  assert.deepEqual(await notices(ada), [
    'You are in lobby, the first one. Send a friend the link of this page.',
    'Grace joined',
  ])
  assert.deepEqual(await notices(grace), ['You are in lobby, with Ada.', 'You are back, and missed nothing.'])
})

test('without a list of people the chat goes on, and says so', async (t) => {
  const [gateway, browser] = await Promise.all([startGateway(t, { handler: false }), launchBrowser(t)])
  await startApp(t, gateway.handlerSocket, {
    routes(app) {
      t.mock.method(app.gateway, 'topic', async () => {
        throw new Error('ENOENT')
      })
      app.register(chat)
    },
  })
  const { page: ada } = await enterChat(t, browser, gateway, 'Ada')
  const { page: grace } = await enterChat(t, browser, gateway, 'Grace')
  await shows(grace.locator('#people-unknown'), 'the list is not available right now')
  await type(ada, 'hello')
  await shows(heard(grace), 'hello')
  assert.deepEqual(await people(grace), ['Ada', 'Grace'])
})

test('people: who comes back in time has not left', () => {
  const { people, clock, told } = buildPeople()
  people.welcome([{ id: '1', name: 'Ada' }])
  people.add({ id: '2', name: 'Grace' })
  people.remove({ id: '2' })
  assert.deepEqual(
    people.list.map(({ name, here }) => [name, here]),
    [
      ['Ada', true],
      ['Grace', false],
    ],
  )
  clock.advance(3_999)
  people.add({ id: '3', name: 'Grace' })
  clock.advance(4_000)
  people.remove({ id: '3' })
  clock.advance(4_000)
  assert.deepEqual(told, ['Grace joined', 'Grace left'])
  assert.deepEqual(
    people.list.map(({ name }) => name),
    ['Ada'],
  )
})

test('people: a list that is older than a leave does not bring anybody back, and one after a break tells who has gone', () => {
  const { people, clock, told } = buildPeople()
  people.add({ id: '2', name: 'Grace' })
  people.remove({ id: '1' })
  people.welcome([{ id: '1', name: 'Ada' }])
  assert.deepEqual(
    people.list.map(({ name }) => name),
    ['Grace'],
  )
  people.lose()
  clock.advance(60_000)
  people.welcome([{ id: '5', name: 'Cy' }])
  clock.advance(4_000)
  assert.deepEqual(told, ['Grace joined', 'Grace left'])
  assert.equal(clock.pending, 0)
})

test('a name makes initials and a colour, a text the name of a room', () => {
  assert.deepEqual(['Ada Lovelace', 'bob', 'zoë de la Cruz', '👩‍🚀', 'ab.cd', ' '].map(initialsOf), [
    'AL',
    'B',
    'ZC',
    '👩‍🚀',
    'AC',
    '?',
  ])
  assert.equal(hueOf('Ada'), hueOf('Ada'))
  assert.ok(new Set(['Ada', 'Adb', 'Adc', 'Bob'].map(hueOf)).size === 4)
  assert.deepEqual(['Tea Kitchen', '#Café!', '../x', '%', 'x'.repeat(40)].map(roomNamed), [
    'tea-kitchen',
    'café',
    'x',
    '',
    'x'.repeat(32),
  ])
})

async function talk(t: TestContext, enter: Enter) {
  const { page: ada, problems } = await enter(t, 'Ada Lovelace')
  await shows(ada.locator('.notice'), 'You are in lobby, the first one.')
  const { page: grace, problems: others } = await enter(t, 'Grace')
  await shows(grace.locator('.notice'), 'You are in lobby, with Ada Lovelace.')
  await shows(ada.locator('.notice'), 'Grace joined')
  for (const page of [ada, grace]) assert.deepEqual(await people(page), ['Ada Lovelace', 'Grace'])
  assert.equal(await ada.locator('.person .avatar').first().textContent(), 'AL')
  await type(ada, '<img src=x onerror=alert(1)>')
  await shows(heard(grace), 'Ada Lovelace', '<img src=x onerror=alert(1)>')
  await type(grace, 'Nice try, שלום')
  await shows(heard(ada), 'Grace', 'Nice try, שלום')
  await shows(said(ada), '<img src=x')
  assert.match((await heard(ada).locator('time').getAttribute('datetime')) ?? '', /^\d{4}-\d\d-\d\dT/)
  await grace.context().close()
  await shows(ada.locator('.notice'), 'Grace left')
  assert.deepEqual(await people(ada), ['Ada Lovelace'])
  assert.deepEqual([...problems, ...others], [])
}

async function asksAgain(t: TestContext, browser: Browser, gateway: Gateway) {
  const { page, problems } = await openPage(t, browser, `${gateway.url}/chat.html#door`)
  await nameField(page).evaluate((name) => name.removeAttribute('maxlength')) // As a page of somebody else might.
  for (const [name, answer] of [
    ['', 'Please choose a name first.'],
    ['\u200b', 'a name that others can see'],
    ['x'.repeat(33), 'of 1 to 32 characters'],
  ] as const) {
    await knock(page, name)
    await shows(page.getByRole('alert'), answer)
    assert.equal(await nameField(page).inputValue(), name)
  }
  await knock(page, 'x'.repeat(32))
  await shows(page.locator('.notice'), 'You are in door')
  await page.getByRole('button', { name: 'Change your name' }).click()
  await knock(page, 'Ada')
  await shows(page.locator('#me'), 'Ada')
  assert.deepEqual(problems, [])
}

async function sharesTabs(t: TestContext, enter: Enter) {
  const { page: ada, problems } = await enter(t, 'Ada', { room: '#tabs' })
  const { page: grace } = await enter(t, 'Grace', { room: '#tabs' })
  const second = await ada.context().newPage()
  await second.goto(ada.url())
  assert.equal(await nameField(second).inputValue(), 'Ada', 'the browser remembers the name')
  await knock(second, 'Ada')
  await shows(second.locator('.notice'), 'Somebody called Ada is already here.')
  await shows(grace.locator('.person'), 'Ada', '2 tabs')
  await type(second, 'from the second')
  await shows(said(ada), 'from the second')
  await shows(heard(grace), 'from the second')
  await second.close()
  await grace.locator('.person', { hasText: '2 tabs' }).waitFor({ state: 'detached' })
  assert.deepEqual(await people(grace), ['Ada', 'Grace'])
  assert.deepEqual(await notices(grace), ['You are in tabs, with Ada.'])
  assert.deepEqual(problems, [])
}

async function comesBack(t: TestContext, enter: Enter) {
  const { page: ada, problems } = await enter(t, 'Ada', { room: '#again' })
  const { page: grace } = await enter(t, 'Grace', { room: '#again' })
  await grace.clock.install()
  await stopTime(grace)
  await ada.reload()
  await shows(ada.locator('.notice'), 'You are in again, with Grace.')
  await type(ada, 'me again')
  await shows(heard(grace), 'me again')
  await grace.clock.runFor(4_000)
  assert.deepEqual(await notices(grace), ['You are in again, with Ada.'])
  assert.deepEqual(problems, [])
}

async function changesRooms(t: TestContext, enter: Enter) {
  const { page: ada, problems } = await enter(t, 'Ada')
  const { page: grace } = await enter(t, 'Grace', { room: '#knitting-tea' })
  await type(ada, 'only for the lobby')
  await ada.getByLabel('Another room').fill('Knitting & Tea')
  await ada.getByLabel('Another room').press('Enter')
  await shows(ada.locator('.notice'), 'You are in knitting-tea, with Grace.')
  assert.equal(new URL(ada.url()).hash, '#knitting-tea')
  await type(ada, 'for the knitters')
  await shows(heard(grace), 'for the knitters')
  assert.deepEqual(await words(heard(grace)), ['for the knitters'])
  await ada.getByRole('link', { name: 'lobby' }).click()
  await shows(ada.locator('.notice'), 'You are in lobby, the first one.')
  await shows(grace.locator('.notice'), 'Ada left')
  assert.deepEqual(problems, [])
}

async function showsPush(t: TestContext, enter: Enter, gateway: Gateway) {
  const { page: ada, problems } = await enter(t, 'Ada')
  for (const text of ['The kettle boils at noon.', '{"text":"And the cake is ready."}'])
    await publish(gateway, 'chat:lobby', text)
  await shows(ada.locator('.announcement').nth(0), 'The kettle boils at noon.')
  await shows(ada.locator('.announcement').nth(1), /^And the cake is ready\.$/)
  assert.deepEqual(problems, [])
}

async function showsRooms(t: TestContext, enter: Enter) {
  for (const width of [375, 320]) {
    const { page } = await enter(t, 'Ada', { ...PHONE, viewport: { width, height: 667 }, room: '#another-room-now' })
    for (const control of [page.getByLabel('Another room'), page.getByRole('button', { name: 'Go to this room' })]) {
      const box = await control.boundingBox()
      assert.ok(box && box.x >= 0 && box.x + box.width <= width, `${width} px: ${JSON.stringify(box)}`)
    }
    await page.getByLabel('Another room').fill('tea')
    await page.getByRole('button', { name: 'Go to this room' }).click()
    await shows(page.locator('.notice'), 'You are in tea')
  }
}

async function fitsPhone(t: TestContext, enter: Enter) {
  const { page: ada, problems } = await enter(t, 'W'.repeat(32), { ...PHONE, room: `#${'w'.repeat(32)}` })
  await type(ada, 'x'.repeat(1_900))
  await shows(said(ada), 'x'.repeat(1_900))
  assert.equal(await ada.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0)
  assert.equal(await ada.locator('#scroll').evaluate((log) => log.scrollWidth - log.clientWidth), 0)
  for (const key of ['2', 'Shift+Enter', '3', 'Enter']) await ada.keyboard.press(key)
  await shows(said(ada), '2\n3')
  assert.deepEqual(problems, [])
}

function startChat(t: TestContext, env: Record<string, string> = {}) {
  return startGateway(t, {
    env: (run) => ({ CONTROL_SOCKET: `${run}/control/control.sock`, HANDLER_LOG_LEVEL: 'silent', ...env }),
  })
}

async function enterChat(
  t: TestContext,
  browser: Browser,
  gateway: Gateway,
  name: string,
  { room = '', ...context }: EnterOptions = {},
) {
  const opened = await openPage(t, browser, `${gateway.url}/chat.html${room}`, context)
  await knock(opened.page, name)
  await shows(opened.page.locator('.notice'), 'You are in')
  return opened
}

async function knock(page: Page, name: string) {
  await nameField(page).fill(name)
  await page.getByRole('button', { name: 'Join the chat' }).click()
}

async function type(page: Page, text: string) {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

async function publish({ run }: Gateway, topic: string, text: string) {
  await new Promise((resolve, reject) => {
    request(
      { socketPath: `${run}/control/control.sock`, method: 'POST', path: `/topics/${encodeURIComponent(topic)}` },
      resolve,
    )
      .on('error', reject)
      .end(text)
  })
}

const nameField = (page: Page): Locator => page.getByRole('textbox', { name: 'Your name' })
const said = (page: Page): Locator => page.locator('.message.own:not(.pending)')
const heard = (page: Page): Locator => page.locator('.message:not(.own)')
const words = (messages: Locator) => messages.locator('.words').allTextContents()
const notices = (page: Page) => page.locator('.notice').allTextContents()
const people = (page: Page) => page.locator('.person bdi').allTextContents()

/** Waits until one of the elements holds all of these texts. */
async function shows(locator: Locator, ...texts: (string | RegExp)[]) {
  await texts
    .reduce((found, hasText) => found.filter({ hasText }), locator)
    .first()
    .waitFor()
}

function buildPeople() {
  const clock = new Clock()
  const told: string[] = []
  const people = new People({
    clock,
    changed: () => {},
    joined: (name) => told.push(`${name} joined`),
    left: (name) => told.push(`${name} left`),
  })
  return { people, clock, told }
}
