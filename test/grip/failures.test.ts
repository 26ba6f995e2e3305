/** GRIP when something fails: a backend that is away or breaks off, a worker that is killed; and sessions, and both dialects at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comeBack } from '../session/support.ts'
import { Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { KILLED, startGateway } from '../support/gateway.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'
import { haveLeft } from '../support/workers.ts'
import { afterOpen, event, publish, type Raw, startGripGateway, startRawBackend } from './support.ts'

const GRIP = { 'sec-websocket-extensions': 'grip' }

test('a backend that breaks off ends the socket without a close frame, one that is away refuses', async (t) => {
  const backend = await startRawBackend(
    t,
    afterOpen({}, ({ body }) => ({ isLost: body.startsWith('TEXT'), body })),
  )
  const nowhere = `http://127.0.0.1:${await freePort()}`
  const gateway = await startGripGateway(t, backend.url, {
    env: { HANDLER_WAIT: '0' },
    locations: `location /ws/away/ { set $ws_handler "${nowhere}"; include socket.conf; }`,
  })
  const client = await open(`${gateway.ws}/ws/a`)
  client.socket.send('hello')
  assert.equal((await client.closed).code, 1006)
  await backend.request('it gets DISCONNECT', ({ body }) => body === 'DISCONNECT\r\n')
  assert.equal(backend.requests.filter(({ body }) => body === 'TEXT 5\r\nhello\r\n').length, 1, 'it may have read it')
  await assert.rejects(new Client(`${gateway.ws}/ws/away/a`).opened, /503/)
})

test('a socket of a killed worker is a DISCONNECT with its meta values, and only with headers that are kept', async (t) => {
  const backend = await startRawBackend(
    t,
    afterOpen({ ...GRIP, 'set-meta-user': 'ann' }, () => ({})),
  )
  const gateway = await startGripGateway(t, backend.url, {
    env: { WORKERS: '1' },
    expect: [KILLED],
  })
  const client = await open(`${gateway.ws}/ws/a?b=c`, { headers: { cookie: 'a=b', 'x-secret': 'for the living' } })
  process.kill(gateway.workers()[0]!, 'SIGKILL')
  const { path, headers } = await backend.request('it gets DISCONNECT', ({ body }) => body === 'DISCONNECT\r\n')
  assert.equal(path, '/ws/a?b=c')
  assert.deepEqual([headers['meta-user'], headers.cookie, headers['x-secret']], ['ann', 'a=b', undefined])
  assert.equal(headers['connection-id'], backend.requests[0]!.headers['connection-id'])
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.ok(headers['grip-sig'])
  client.socket.terminate()
})

/** Opens a session, and answers a message with the id of its connection and its meta value. */
function remember({ body, headers }: Raw): { headers?: Record<string, string>; body?: string } {
  if (body === 'OPEN\r\n') {
    const orders = [
      { type: 'subscribe', channel: 'news', filters: ['skip-self'] },
      { type: 'set-meta', name: 'user', value: 'ann' },
      { type: 'send-delayed', content: 'delayed', timeout: 3600 },
    ].map((order) => event('TEXT', `c:${JSON.stringify(order)}`))
    return { headers: { ...GRIP, 'set-meta-user': 'ann', 'ws-session': '60' }, body: body + orders.join('') }
  }
  if (body.includes('flush')) return { body: event('TEXT', 'c:{"type":"flush-delayed"}') }
  if (body.includes('half')) return body.includes('other') ? {} : { headers: { 'content-bytes-accepted': '0' } }
  return { body: event('TEXT', `m:${headers['connection-id']} ${headers['meta-user']}`) }
}

test('a session keeps all that its backend has agreed, also in another worker', async (t) => {
  const backend = await startRawBackend(t, remember)
  const gateway = await startGripGateway(t, backend.url)
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  client.send('who am I?')
  const who = await client.next()
  assert.match(who, /^[\w-]{32} ann$/)
  client.send('half')
  await backend.request('the first half', ({ body }) => body.includes('half'))
  const old = gateway.workers()
  await gateway.reload()
  await until('only new workers take sockets', () => haveLeft(gateway, old))
  client.cut()
  await comeBack(client)
  assert.equal(client.first.resumed, true)
  client.send(' and the other')
  const { body, headers } = await backend.request('both halves', ({ body }) => body.includes('other'))
  assert.deepEqual(
    [body, headers['content-bytes-replayed']],
    [`${event('TEXT', 'half')}${event('TEXT', ' and the other')}`, '4'],
  )
  client.send('who am I?')
  assert.equal(await client.next(), who)
  await publish(gateway, {
    items: [{ channel: 'news', meta: { sender: 'ann' }, formats: { 'ws-message': { content: 'no' } } }],
  })
  await publish(gateway, { items: [{ channel: 'news', formats: { 'ws-message': { content: 'yes' } } }] })
  assert.equal(await client.next(), 'yes')
  client.send('flush')
  assert.equal(await client.next(), 'delayed')
  client.cut()
})

test('a location speaks GRIP beside the handler’s own protocol', async (t) => {
  const backend = await startRawBackend(
    t,
    afterOpen({}, () => ({ body: event('TEXT', 'in GRIP') })),
  )
  const gateway = await startGateway(t, {
    locations: `location /ws/other/ { set $ws_protocol grip; set $ws_handler "${backend.url}"; include socket.conf; }`,
  })
  const [own, other] = await Promise.all([open(`${gateway.ws}/ws/echo`), open(`${gateway.ws}/ws/other/a`)])
  assert.deepEqual([await own.ask('hello'), await other.ask('hello')], ['hello', 'in GRIP'])
  for (const client of [own, other]) await client.close()
})
