// The dashboard and browsers of others: without the token, and with a page of another origin in the same browser.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { join, leave } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { launchBrowser } from './browser.ts'
import { openDashboard, startDashboard, TOKEN } from './dashboard.ts'

/** Tries what a page can try without a script of the other origin's consent: each attempt is told by its answer's type or its error. */
const ATTACK = async (target: string) => {
  const attempt = (path: string, options: RequestInit) =>
    fetch(target + path, { credentials: 'include', body: 'stolen', ...options }).then(
      ({ type }) => type,
      () => 'refused',
    )
  const sent = await Promise.all([
    attempt('broadcast', { method: 'POST', mode: 'no-cors' }),
    attempt('topics/news', {
      method: 'POST',
      mode: 'no-cors',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
    attempt('broadcast', { method: 'POST' }),
    attempt('broadcast', { method: 'PUT' }),
    attempt('connections', { method: 'GET', body: undefined }),
  ])
  const form = document.createElement('form')
  form.action = `${target}broadcast`
  form.method = 'post'
  form.enctype = 'text/plain'
  form.target = 'frame'
  const frame = document.createElement('iframe')
  frame.name = 'frame'
  document.body.append(frame, form)
  const loaded = new Promise((resolve) => {
    frame.onload = resolve
  })
  form.submit()
  await loaded
  const page = document.createElement('iframe')
  page.src = target
  document.body.append(page)
  await new Promise((resolve) => {
    page.onload = resolve
  })
  return sent
}

async function foreignPage(t: TestContext): Promise<string> {
  const server = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><body>'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return String((server.address() as { port: number }).port)
}

test('without the token a browser gets nothing of the page', async (t) => {
  const [gateway, browser] = await Promise.all([startDashboard(t), launchBrowser(t)])
  for (const httpCredentials of [undefined, { username: TOKEN, password: 'wrong' }]) {
    const context = await browser.newContext({ httpCredentials })
    const page = await context.newPage()
    const seen: number[] = []
    page.on('response', (response) => seen.push(response.status()))
    await page.goto(gateway.control).catch((error) => assert.match(String(error), /ERR_INVALID_AUTH_CREDENTIALS/))
    assert.ok(
      seen.every((status) => status === 401),
      String(seen),
    )
    assert.equal(await page.locator('#state').count(), 0)
    await context.close()
  }
})

test('a page of another origin can neither push, close nor read with the credentials of the browser, nor frame the page', async (t) => {
  const [gateway, browser, port] = await Promise.all([startDashboard(t), launchBrowser(t), foreignPage(t)])
  const member = await join(gateway, 'news')
  const { page: own } = await openDashboard(t, browser, gateway.control)
  const page = await own.context().newPage()
  for (const host of ['127.0.0.1', 'localhost']) {
    const answers: Array<{ path: string; status: number }> = []
    page.on('response', (response) => {
      if (response.url().startsWith(gateway.control))
        answers.push({ path: new URL(response.url()).pathname, status: response.status() })
    })
    await page.goto(`http://${host}:${port}/`)
    const sent = await page.evaluate(ATTACK, gateway.control)
    assert.deepEqual(sent.slice(2), ['refused', 'refused', 'refused'], 'nothing can be read')
    await until('the requests arrived', () => answers.filter(({ path }) => path === '/broadcast').length >= 3)
    assert.ok(
      answers.every(({ path, status }) => path === '/' || status === 403 || status === 401),
      JSON.stringify(answers),
    )
    if (host === '127.0.0.1')
      assert.ok(
        answers.some(({ status }) => status === 403),
        'the browser did send the credentials',
      )
    assert.equal(page.frames().length, 3)
    for (const frame of page.frames()) assert.equal(await frame.locator('#tiles').count(), 0, 'the page is not framed')
  }
  assert.equal(await member.client.ask('nothing came before'), 'nothing came before')
  leave(member)
})
