// The dashboard of a gateway with handlers by path, and with locations whose answers are kept.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { launchBrowser } from './browser.ts'
import { openDashboard, shows, TOKEN } from './dashboard.ts'

test('each handler has a row, and the answer cache its counts', async (t) => {
  const [control, own, down] = await Promise.all([freePort(), freePort(), freePort()])
  const env = { CONTROL_PORT: `127.0.0.1:${control}`, CONTROL_TOKEN: TOKEN, HANDLER_URL: `http://127.0.0.1:${own}` }
  const locations = `
    location /ws/kept/ { set $ws_cache on; include socket.conf; }
    location /ws/down/ { set $ws_handler "http://127.0.0.1:${down}"; include socket.conf; }`
  const [gateway, browser] = await Promise.all([startGateway(t, { handler: false, env, locations }), launchBrowser(t)])
  await startProbeHandler(t, own, ({ type }, response) => {
    if (type !== 'framegate.message') return void response.writeHead(204).end()
    response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'public, max-age=600' }).end('kept')
  })
  const { page, problems } = await openDashboard(t, browser, `http://127.0.0.1:${control}/`)
  const facts = page.locator('#facts-line')
  await shows(facts, 'events/s')
  assert.ok(!(await facts.textContent())?.includes('Answer cache'), 'nobody has asked yet')
  assert.ok(await page.locator('#handlers').isHidden(), 'there is one')

  const client = await open(`${gateway.ws}/ws/kept/a`)
  for (let i = 0; i < 4; i++) assert.equal(await client.ask('x'), 'kept')
  await shows(facts, /Answer cache\s*3 hits, 0 waits, 1 miss/)

  const waiting = new Client(`${gateway.ws}/ws/down/a`)
  const rows = page.locator('#handlers-rows tr')
  await shows(page.locator('#handlers-summary'), '2, 1 down')
  await shows(rows.nth(0), 'default', 'up')
  await shows(rows.nth(1), `http://127.0.0.1:${down}`, 'down')
  assert.deepEqual(problems, [])
  waiting.socket.on('error', () => {}).terminate()
  await client.close()
})
