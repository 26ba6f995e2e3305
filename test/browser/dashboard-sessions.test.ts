// The dashboard shows the sockets whose clients are away, and alarms.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { OFFER } from '../support/deflate.ts'
import { freePort } from '../support/free-port.ts'
import { ask, pushGateway } from '../support/push-gateway.ts'
import { SessionClient } from '../support/session-client.ts'
import { launchBrowser } from './browser.ts'
import { fact, openDashboard, overflow, rows, shows, TOKEN } from './dashboard.ts'

test('a client that is away, and back; its alarm; the timers', async (t) => {
  const port = await freePort()
  const env = { WORKERS: '1', CONTROL_PORT: `127.0.0.1:${port}`, CONTROL_TOKEN: TOKEN, TIMERS: '2h /ws/in/tick' }
  const routes = (app: FastifyInstance): void => {
    app.ws('/ws/kept', { session: '2m', open: (_request, reply) => void reply.alarm(600) })
  }
  const [gateway, browser] = await Promise.all([pushGateway(t, env, { routes }), launchBrowser(t)])
  const client = await new SessionClient(gateway.port, '/ws/kept').dial()
  const { page, problems } = await openDashboard(t, browser, `http://127.0.0.1:${port}/`)
  const tile = page.locator('.tile').first()
  await shows(tile, 'on 1 worker')
  await shows(page.locator('#facts-line'), '/ws/in/tick every 2 h')
  client.cut()
  await shows(tile, 'on 1 worker; 1 away')
  await shows(rows(page).locator('.idle'), /^away \d+ s$/)
  await page.getByRole('searchbox').fill('away')
  await shows(page.locator('#list-note'), '1 of 1 connections')
  await rows(page).getByRole('link').click()
  await shows(fact(page, 'Session'), /^client away for \d+ s, kept 2 min; \d+ B not confirmed$/)
  await shows(fact(page, 'Alarm'), /^in (9 min|10 min)/)
  await client.dial({ headers: OFFER })
  assert.equal(client.first.resumed, true)
  await shows(fact(page, 'Compression'), 'permessage-deflate')
  await shows(fact(page, 'Session'), 'client here, kept 2 min')
  const { connections } = (await ask(gateway, 'GET', '/connections')).json
  assert.equal(connections.length, 1)
  await page.setViewportSize({ width: 360, height: 740 })
  assert.equal(await overflow(page), 0)
  assert.deepEqual(problems, [])
  client.cut()
})
