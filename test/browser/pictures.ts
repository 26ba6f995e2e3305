// npm run pictures: takes the pictures of the README, light and dark, from a gateway with people in it.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, project, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { launchBrowser, openPage } from './browser.ts'
import { openDashboard, shows, TOKEN } from './dashboard.ts'

const FOLDER = join(project, 'docs/images')
const MAX_BYTES = 200_000
const READINGS = 30 // of the dashboard, so many fill its lines; one takes two seconds

type Guest = { name: string; address: string; room: string; client: Client }

const GUESTS = [
  ['Grace', '203.0.113.24', 'tea-kitchen'],
  ['Linus', '198.51.100.7', 'tea-kitchen'],
  ['Zoë', '2001:db8::17', 'tea-kitchen'],
  ['Margaret', '203.0.113.80', 'lobby'],
  ['Alan', '198.51.100.31', 'lobby'],
  ['Katherine', '203.0.113.5', 'night-owls'],
  ['Radia', '192.0.2.44', 'night-owls'],
  ['Barbara', '2001:db8::2a', 'lobby'],
] as const

async function guest(gateway: Gateway, name: string, address: string, room: string): Promise<Guest> {
  const client = await open(`${gateway.ws}/ws/chat/${room}`, { headers: { 'x-forwarded-for': address } })
  client.socket.send(JSON.stringify({ join: name }))
  return { name, address, room, client }
}

function say({ client }: Guest, text: string): void {
  client.socket.send(JSON.stringify({ say: text }))
}

async function take(page: Page, name: string): Promise<void> {
  mkdirSync(FOLDER, { recursive: true })
  await page.mouse.move(0, 0)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const picture = await page.screenshot({ animations: 'disabled', caret: 'hide' })
    assert.ok(picture.length < MAX_BYTES, `${name} has ${picture.length} bytes`)
    writeFileSync(join(FOLDER, `${name}-${colorScheme}.png`), picture)
  }
}

async function speak(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
  await shows(page.locator('.message.own:not(.pending)'), text)
}

async function hear(page: Page, from: Guest, text: string): Promise<void> {
  say(from, text)
  await shows(page.locator('.message:not(.own)'), text)
}

test('pictures for the README', async (t) => {
  const port = await freePort()
  const [gateway, browser] = await Promise.all([
    startGateway(t, {
      env: (run) => ({
        CONTROL_SOCKET: `${run}/control/control.sock`,
        CONTROL_PORT: `127.0.0.1:${port}`,
        CONTROL_TOKEN: TOKEN,
        HANDLER_LOG_LEVEL: 'silent',
        MAX_CONNECTIONS_PER_IP: 'off',
        TRUSTED_PROXIES: '127.0.0.1',
      }),
    }),
    launchBrowser(t),
  ])
  const guests: Guest[] = []
  for (const [name, address, room] of GUESTS) guests.push(await guest(gateway, name, address, room))
  t.after(() => {
    for (const { client } of guests) client.socket.terminate()
  })
  await t.test('the chat', (t) => chat(t, browser, gateway, guests))
  await t.test('the dashboard', (t) => dashboard(t, browser, `http://127.0.0.1:${port}/`, guests))
})

async function chat(t: Parameters<typeof openPage>[0], browser: Browser, gateway: Gateway, guests: Guest[]) {
  const [grace, linus, zoe] = guests as [Guest, Guest, Guest]
  const { page } = await openPage(t, browser, `${gateway.url}/chat.html#tea-kitchen`, {
    viewport: { width: 1100, height: 640 },
    locale: 'en-GB',
  })
  await page.getByRole('textbox', { name: 'Your name' }).fill('Ada')
  await page.getByRole('button', { name: 'Join the chat' }).click()
  await shows(page.locator('.notice'), 'You are in tea-kitchen')
  await hear(page, grace, 'The kettle is on. Who wants some?')
  await speak(page, 'Me, please! Two minutes.')
  await hear(page, linus, 'Did anybody restart the handler just now?')
  await hear(page, zoe, 'I did, twice. Nobody noticed.')
  await hear(page, zoe, 'The sockets stayed open the whole time.')
  await speak(page, 'Then I deploy after tea.')
  await shows(page.locator('#people-count'), '4')
  await page.getByLabel('Message', { exact: true }).blur()
  await take(page, 'chat')
}

async function dashboard(t: Parameters<typeof openPage>[0], browser: Browser, url: string, guests: Guest[]) {
  const { page } = await openDashboard(t, browser, url, { viewport: { width: 1100, height: 860 } })
  let read = 0
  page.on('response', (response) => {
    if (response.url().endsWith('/status')) read += 1
  })
  await shows(page.locator('#connections-count'), String(guests.length))
  for (let reading = 0; reading < READINGS; reading += 1) {
    const messages = Math.round(30 + 18 * Math.sin(reading / 4) + 9 * Math.sin(reading * 1.7))
    const before = read
    for (let i = 0; i < messages; i += 1) say(guests[(i * 3 + reading) % guests.length]!, `message ${i} of ${reading}`)
    await until('the dashboard reads the numbers', () => read > before)
  }
  await take(page, 'dashboard')
}
