// The dashboard of a node in a cluster: its nodes, the link to Redis, and lists of one node.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { join, leave } from '../support/push-gateway.ts'
import { startTwoNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'
import { launchBrowser } from './browser.ts'
import { fact, openDashboard, overflow, PATIENCE, rows, shows, startDashboard, TOKEN } from './dashboard.ts'

test('nodes, their links and sockets; lists of one node; Redis away', async (t) => {
  const port = await freePort()
  const control = { CONTROL_PORT: `127.0.0.1:${port}`, CONTROL_TOKEN: TOKEN }
  const [{ redis, north, south }, browser] = await Promise.all([
    startTwoNodes(t, { env: (name) => (name === 'north' ? control : {}) }),
    launchBrowser(t),
  ])
  const members = [await join(north, 'news?user=Ann'), await join(south, 'news?user=Bob'), await join(south, 'news')]
  const { page, problems } = await openDashboard(t, browser, `http://127.0.0.1:${port}/`)
  const nodes = page.locator('#nodes-rows tr')
  await shows(page.locator('#nodes-summary'), '2 in framegate')
  await shows(page.locator('#link-state'), 'link up')
  await shows(nodes.nth(0), 'north (this one)', members[0]!.id.slice(0, 4), 'up')
  await shows(nodes.nth(1), /south\S{4}2\d+ s\d\.\d sup/)
  await shows(page.locator('#connections-count'), '3')
  await shows(rows(page).filter({ hasText: 'Ann' }).locator('.node'), 'north')
  await shows(rows(page).filter({ hasText: 'Bob' }).locator('.node'), 'south')

  await page.locator('#node').selectOption({ label: `south (${members[1]!.id.slice(0, 4)})` })
  await until('only those of south', async () => (await rows(page).count()) === 2, PATIENCE)
  assert.deepEqual(await page.locator('.list td.node').allTextContents(), ['south', 'south'])
  await shows(page.locator('#connections-count'), '3')
  await page.getByRole('searchbox').fill('bob')
  await shows(page.locator('#list-note'), '1 of 2 connections')
  await page.getByRole('link', { name: members[1]!.id.slice(-8) }).click()
  await shows(fact(page, 'Node'), 'south')
  await page.getByRole('link', { name: 'Topics' }).click()
  await page.locator('#node-by').waitFor({ state: 'hidden' })
  await shows(rows(page), /news\s*3/)

  await redis.stop()
  await shows(page.locator('#link-state'), 'link down')
  await shows(page.locator('#link-line'), /^The link to Redis has been down for \d+ s: nothing listens there/)
  await shows(nodes.nth(0), 'down')
  await shows(nodes.nth(1), 'unknown')
  await shows(page.locator('#list-note'), 'a worker or a node did not answer: what it holds is missing from this list')
  await shows(rows(page), /news\s*1/)
  await redis.start()
  await shows(page.locator('#link-state'), 'link up')
  await shows(nodes.nth(1), 'up')
  await page.setViewportSize({ width: 360, height: 740 })
  assert.equal(await overflow(page), 0)
  const isPartialList = (problem: string) => /\/topics answered 504$|status of 504/.test(problem)
  assert.deepEqual(
    problems.filter((problem) => !isPartialList(problem)),
    [],
  )
  leave(...members)
})

test('without a cluster nothing of it is shown', async (t) => {
  const [gateway, browser] = await Promise.all([startDashboard(t), launchBrowser(t)])
  const member = await join(gateway, 'news?user=Ann')
  const asked = []
  const { page, problems } = await openDashboard(t, browser, gateway.control)
  page.on('response', (response) => response.url().endsWith('/nodes') && asked.push(response))
  await until('the nodes were asked for', () => asked.length > 0, PATIENCE)
  await shows(rows(page), 'Ann')
  for (const selector of ['#nodes', '#node-by', '.list .node', '.list thead .of-cluster'])
    assert.ok(await page.locator(selector).isHidden(), selector)
  assert.deepEqual(await page.locator('#sort option').allTextContents(), [
    ...['Id', 'User', 'Address', 'Path', 'Topics', 'Age', 'Idle', 'In', 'Out', 'Outbox'],
  ])
  assert.deepEqual(problems, [])
  leave(member)
})
