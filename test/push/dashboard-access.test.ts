// Who gets the dashboard, and what it is served with; what a browser's own credentials may not do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { ask, join, leave, pushGateway } from '../support/push-gateway.ts'

const TOKEN = 'a-token-of-some-length:with-a-colon'
const PAGE = [
  '/',
  '/dashboard/main.js',
  '/dashboard/dashboard.css',
  '/shared/style.css',
  '/shared/icon.svg',
  '/shared/bytes.js',
]

function basic(password: string, user = 'anybody'): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

test('over TCP nothing of the dashboard is shown without the token, which a browser sends as a password', async (t) => {
  const port = await freePort()
  const gateway = await startGateway(t, {
    handler: false,
    env: { CONTROL_PORT: `127.0.0.1:${port}`, CONTROL_TOKEN: TOKEN },
  })
  const wrong = [undefined, basic(''), basic(`${TOKEN}x`), basic('x', TOKEN), 'Basic', 'Basic %%%', `Basic ${TOKEN}`]
  for (const authorization of wrong) {
    for (const path of [...PAGE, '/dashboard/', '/dashboard/nothing', '/status', '/connections', '/nothing']) {
      const { status, headers, body } = await ask(gateway, 'GET', path, {
        port,
        headers: { accept: 'text/html,*/*;q=0.8', ...(authorization && { authorization }) },
      })
      assert.equal(status, 401, path)
      assert.equal(headers['www-authenticate'], 'Basic realm="framegate", charset="UTF-8"')
      assert.equal(JSON.parse(body).detail, 'sign in with any user name, and the CONTROL_TOKEN as the password')
    }
  }
  const { headers } = await ask(gateway, 'GET', '/status', { port, headers: { accept: '*/*' } })
  assert.equal(headers['www-authenticate'], 'Bearer', 'a script is not answered with a dialog')
  for (const authorization of [basic(TOKEN), basic(TOKEN, ''), `Bearer ${TOKEN}`]) {
    for (const path of [...PAGE, '/status'])
      assert.equal((await ask(gateway, 'GET', path, { port, headers: { authorization } })).status, 200, path)
  }
  for (const secret of [TOKEN, basic(TOKEN).slice(6)]) assert.ok(!gateway.log().includes(secret))
})

test('the dashboard may load nothing but itself, is kept nowhere and framed by nobody', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  for (const path of PAGE) {
    const { status, headers } = await ask(gateway, 'GET', path)
    assert.equal(status, 200, path)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-frame-options'], 'DENY')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    const rules = headers['content-security-policy'] as string
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "require-trusted-types-for 'script'",
    ]) {
      assert.ok(rules.includes(rule), rule)
    }
    assert.doesNotMatch(rules, /unsafe|\*|https?:/)
  }
  for (const path of [
    '/dashboard/../settings.json',
    '/dashboard/..%2fsettings.json',
    '/shared/../internal/',
    '/dashboard/%2e%2e/nginx.pid',
    '/dashboards/main.js',
    '/dashboard/nothing.js',
    '/demo/index.html',
    '/shared/../demo/index.html',
    '/web/dashboard/main.js',
  ]) {
    const { status, headers } = await ask(gateway, 'GET', path)
    assert.deepEqual([status, headers['content-type']], [404, 'application/problem+json'], path)
  }
})

test('a page of another origin cannot use the credentials of a browser', async (t) => {
  const port = await freePort()
  const gateway = await pushGateway(t, { CONTROL_PORT: `127.0.0.1:${port}`, CONTROL_TOKEN: TOKEN })
  const { client, id } = await join(gateway, 'news')
  const host = `127.0.0.1:${port}`
  const requests = [
    ['POST', '/broadcast'],
    ['POST', '/batch'],
    ['POST', '/topics/news'],
    ['DELETE', `/connections/${id}`],
    ['PUT', `/topics/x/connections/${id}`],
  ] as const
  const foreign: Array<Record<string, string>> = [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: '' },
    { origin: `http://${host}.evil.example` },
    { origin: `http://127.0.0.1:${port + 1}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: `http://${host}` },
    { 'sec-fetch-site': 'same-origin', origin: 'http://evil.example' },
    { 'sec-fetch-site': 'none' },
  ]
  for (const headers of foreign) {
    for (const [method, path] of requests) {
      for (const where of [
        { port, headers: { ...headers, host, authorization: basic(TOKEN) } },
        { headers: { ...headers, host } },
      ]) {
        const answer = await ask(gateway, method, path, { ...where, body: '[{"path":"/broadcast","text":"stolen"}]' })
        assert.equal(answer.status, 403, `${method} ${path} ${JSON.stringify(where)}: ${answer.body}`)
        assert.match(answer.json.detail, /another origin/)
      }
    }
  }
  const withBasic = (method: string, path: string, headers: Record<string, string>) =>
    ask(gateway, method, path, { port, headers: { host, ...headers, authorization: basic(TOKEN) } })
  assert.equal(
    (await withBasic('POST', '/broadcast', {})).status,
    403,
    'who says nothing of its origin sends a bearer token',
  )
  assert.equal(
    (await withBasic('GET', '/connections', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).status,
    403,
  )
  assert.equal(
    (await withBasic('GET', '/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).status,
    200,
    'a link leads to the page',
  )
  assert.equal((await withBasic('GET', '/', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' })).status, 200)
  const own: Array<Record<string, string>> = [
    { origin: `http://${host}` },
    { origin: 'https://ops.example', host: 'ops.example' },
    { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' },
  ]
  for (const headers of own) assert.equal((await withBasic('POST', `/connections/${id}`, headers)).status, 200)
  const bearer = { authorization: `Bearer ${TOKEN}`, origin: 'http://evil.example' }
  assert.equal(
    (await ask(gateway, 'POST', `/connections/${id}`, { port, headers: bearer })).status,
    200,
    'a page that knows the token is no thief',
  )
  for (let i = 0; i < own.length + 1; i++) assert.equal(await client.next(), '')
  assert.equal(
    (await ask(gateway, 'POST', `/connections/${id}`, { body: 'last' })).status,
    200,
    'a program on the unix socket',
  )
  assert.equal(await client.next(), 'last', 'and nothing besides')
  leave({ client, id })
})
