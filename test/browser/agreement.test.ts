// The chat page, a curl push, the dashboard and `framegate connections` agree on who is there.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { freePort } from '../support/free-port.ts'
import { project, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { launchBrowser, openPage } from './browser.ts'
import { openDashboard, PATIENCE, rows, shows, TOKEN } from './dashboard.ts'

const run = promisify(execFile)

type Seen = { user: string; topics: string[] }

test('the chat page, a curl push, the dashboard and framegate connections agree on who is there', async (t) => {
  const port = await freePort()
  const [gateway, browser] = await Promise.all([
    startGateway(t, {
      env: (run) => ({
        CONTROL_SOCKET: `${run}/control/control.sock`,
        HANDLER_LOG_LEVEL: 'silent',
        CONTROL_PORT: `127.0.0.1:${port}`,
        CONTROL_TOKEN: TOKEN,
      }),
    }),
    launchBrowser(t),
  ])
  const socket = `${gateway.run}/control/control.sock`
  const enter = async (name: string, room = ''): Promise<Page> => {
    const { page } = await openPage(t, browser, `${gateway.url}/chat.html${room}`)
    await page.getByRole('textbox', { name: 'Your name' }).fill(name)
    await page.getByRole('button', { name: 'Join the chat' }).click()
    await shows(page.locator('.notice'), 'You are in')
    return page
  }
  const listed = async (): Promise<Seen[]> => {
    const { stdout } = await run(process.execPath, [
      join(project, 'cli/bin.js'),
      'connections',
      '--json',
      '--socket',
      socket,
    ])
    const { connections } = JSON.parse(stdout) as { connections: Seen[] }
    return connections.map(({ user, topics }) => ({ user, topics })).sort((a, b) => a.user.localeCompare(b.user))
  }
  const push = async (topic: string, text: string): Promise<unknown> =>
    JSON.parse(
      (
        await run('curl', [
          '-s',
          '--unix-socket',
          socket,
          `http://gateway/topics/${encodeURIComponent(topic)}`,
          '-d',
          text,
        ])
      ).stdout,
    )

  const [ada, grace, cy] = [await enter('Ada'), await enter('Grace'), await enter('Cy', '#tea')]
  const { page: dashboard } = await openDashboard(t, browser, `http://127.0.0.1:${port}/`)
  const here = [
    { user: 'Ada', topics: ['chat:lobby'] },
    { user: 'Cy', topics: ['chat:tea'] },
    { user: 'Grace', topics: ['chat:lobby'] },
  ]
  assert.deepEqual(await listed(), here)
  await shows(ada.locator('.person'), 'Grace')
  assert.deepEqual(await ada.locator('.person bdi').allTextContents(), ['Ada', 'Grace'])
  for (const { user, topics } of here) await shows(rows(dashboard).filter({ hasText: user }), topics[0]!)
  assert.equal(await rows(dashboard).count(), 3)

  assert.deepEqual(await push('chat:lobby', 'The kettle boils.'), { delivered: 2, dropped: 0 })
  for (const page of [ada, grace]) await shows(page.locator('.announcement'), 'The kettle boils.')
  assert.deepEqual(await push('chat:tea', 'Tea is ready.'), { delivered: 1, dropped: 0 })
  await shows(cy.locator('.announcement'), 'Tea is ready.')
  assert.deepEqual(await cy.locator('.announcement').allTextContents(), ['Tea is ready.'])

  await grace.context().close()
  await shows(ada.locator('.notice'), 'Grace left')
  await until('Grace is not listed', async () => (await listed()).length === 2)
  assert.deepEqual(await listed(), here.slice(0, 2))
  assert.deepEqual(await ada.locator('.person bdi').allTextContents(), ['Ada'])
  await until('nor on the dashboard', async () => (await rows(dashboard).count()) === 2, PATIENCE)
  assert.deepEqual(await push('chat:lobby', 'One cup.'), { delivered: 1, dropped: 0 })
  await shows(ada.locator('.announcement'), 'One cup.')
})
