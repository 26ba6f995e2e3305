// HTTP at the edges of the control API: names of schemes, HEAD, text that is not UTF-8, what is secret.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { ask, join, leave, pushGateway } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'

const TOKEN = 'a-token-of-this-test'

test('the name of an authorization scheme may be written in any case', async (t) => {
  const port = await freePort()
  const gateway = await pushGateway(t, { CONTROL_PORT: String(port), CONTROL_TOKEN: TOKEN })
  const basic = Buffer.from(`any:${TOKEN}`).toString('base64')
  for (const authorization of [`Bearer ${TOKEN}`, `BEARER ${TOKEN}`, `bEaReR  ${TOKEN}`, `BASIC ${basic}`])
    assert.equal((await ask(gateway, 'GET', '/healthz', { port, headers: { authorization } })).status, 200)
  for (const authorization of ['Bearer wrong', `Bearers ${TOKEN}`, TOKEN, `Bearer ${basic}`])
    assert.equal((await ask(gateway, 'GET', '/healthz', { port, headers: { authorization } })).status, 401)
})

test('HEAD is GET without a body', async (t) => {
  const gateway = await pushGateway(t)
  for (const path of ['/healthz', '/status', '/metrics', '/connections', '/topics', '/openapi.json']) {
    const head = await ask(gateway, 'HEAD', path)
    const get = await ask(gateway, 'GET', path)
    assert.deepEqual([head.status, head.body], [200, ''], path)
    assert.equal(head.headers['content-type'], get.headers['content-type'])
    assert.ok(Number(head.headers['content-length']) > 0)
  }
  assert.equal((await ask(gateway, 'HEAD', '/connections/gone')).status, 410)
  const refused = await ask(gateway, 'HEAD', '/broadcast')
  assert.deepEqual([refused.status, refused.headers.allow], [405, 'POST'])
  assert.equal((await ask(gateway, 'PUT', '/status')).headers.allow, 'GET, HEAD')
})

test('HEAD in a batch has no body either', async (t) => {
  const gateway = await pushGateway(t)
  const batch = [
    { method: 'HEAD', path: '/topics' },
    { method: 'HEAD', path: '/connections/gone' },
    { method: 'GET', path: '/topics' },
  ]
  const { json } = await ask(gateway, 'POST', '/batch', { body: JSON.stringify(batch) })
  assert.deepEqual(json, [{ status: 200 }, { status: 410 }, { status: 200, body: { topics: [] } }])
})

test('what would change the meaning of a request is refused, and not passed over', async (t) => {
  const gateway = await pushGateway(t)
  const member = await join(gateway, 'news')
  const expect = async (
    method: string,
    path: string,
    headers: Record<string, string | string[]>,
    refusal: unknown[],
  ) => {
    const { status, json } = await ask(gateway, method, path, { headers, body: method === 'POST' ? 'x' : '' })
    assert.deepEqual([status, json.detail], refusal, path)
  }
  const key = [400, 'idempotency-key is one text that is not empty']
  await expect('POST', '/topics/news', { 'idempotency-key': ['a', 'b'] }, key)
  await expect('POST', '/topics/news', { 'idempotency-key': '' }, key)
  await expect('POST', '/topics/news', { 'content-encoding': 'gzip' }, [
    415,
    'a body without content-encoding is expected',
  ])
  const many = Array.from({ length: 100 }, (_, i) => `a${i}=1`).join('&')
  await expect('POST', `/topics/news?${many}&except=${member.id}`, {}, [400, 'a request has at most 100 parameters'])
  for (const code of ['4e3', '0xFA0', '%204000', '4000.0', '']) {
    await expect('DELETE', `/connections/${member.id}?code=${code}`, {}, [400, 'code is 1000 or 3000 to 4999'])
  }
  assert.equal((await ask(gateway, 'POST', '/topics/news', { body: 'the first' })).json.delivered, 1)
  assert.equal(await member.client.next(), 'the first')
  leave(member)
})

test('lists are JSON whatever bytes a path has', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = createServer((socket) => {
    // Node's HTTP server would refuse the path.
    socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n')).on('error', () => {})
  })
  handler.listen(gateway.handlerSocket)
  t.after(() => handler.close())
  const client = connect(gateway.port, '127.0.0.1')
  client.write(
    Buffer.from(
      'GET /ws/\u00ff\u00fe?x=\u00ff HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      'latin1',
    ),
  )
  const [answer] = await once(client, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 101/)
  const { json } = await ask(gateway, 'GET', '/connections?show=query')
  assert.deepEqual(
    json.connections.map(({ path }: { path: string }) => path),
    ['/ws/%FF%FE?x=%FF'],
  )
  const problem = await ask(gateway, 'GET', '/connections?%ff=1&%ff=2')
  assert.equal(problem.json.detail, 'the parameter \ufffd may be given once')
  client.destroy()
})

test('a batch: an empty list is a list, and a body that is no JSON is a text', async (t) => {
  const gateway = await pushGateway(t)
  const body = JSON.stringify([
    { method: 'GET', path: '/topics' },
    { method: 'GET', path: '/connections' },
    { method: 'GET', path: '/metrics' },
    { path: '/nothing' },
  ])
  const { json } = await ask(gateway, 'POST', '/batch', { body })
  assert.deepEqual(json[0], { status: 200, body: { topics: [] } })
  assert.deepEqual(json[1], { status: 200, body: { count: 0, connections: [] } })
  assert.match(json[2].body, /^# HELP /)
  assert.equal(json[3].body.status, 404)
})

test('queries are shown to those who ask for them, and to nobody else', async (t) => {
  const gateway = await pushGateway(t)
  const member = await join(gateway, 'news?token=S3CR3T')
  const paths = ['/connections', `/connections/${member.id}`, '/topics/news']
  for (const path of paths) {
    const { body } = await ask(gateway, 'GET', path)
    assert.match(body, /"path":"\\\/ws\\\/in\\\/news"/)
    assert.doesNotMatch(body, /S3CR3T/)
    assert.match((await ask(gateway, 'GET', `${path}?show=query`)).body, /news\?token=S3CR3T"/)
    assert.equal((await ask(gateway, 'GET', `${path}?show=all`)).status, 400)
  }
  leave(member)
})

test('no log has the query of a request to the control API', async (t) => {
  const gateway = await pushGateway(t)
  for (const size of [70_000, 2_000_000])
    await ask(gateway, 'POST', '/topics/a?token=S3CR3T', { body: Buffer.alloc(size), headers: {} })
  await ask(gateway, 'GET', `/nothing?token=S3CR3T&${'x'.repeat(9000)}`).catch(() => {})
  await until('it still answers', async () => (await ask(gateway, 'GET', '/healthz')).status === 200)
  assert.doesNotMatch(gateway.log(), /S3CR3T/)
})
