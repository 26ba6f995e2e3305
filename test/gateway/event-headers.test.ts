/** What events carry of a socket: the name of its user, and the headers of its handshake that were chosen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { open } from '../support/client.ts'
import { KILLED, startGateway } from '../support/gateway.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

test('ce-user goes with every event once a user is named, until the name is removed', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' }, expect: [KILLED] })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.open') response.setHeader('ws-user', 'zo%C3%AB')
    if (String(event.body) === 'rename') response.setHeader('ws-user', 'a~b')
    if (String(event.body) === 'forget') response.setHeader('ws-user', '')
    return echo(event, response, request)
  })
  const client = await open(`${gateway.ws}/ws/a`)
  for (const text of ['one', 'rename', 'two', 'forget', 'three', 'rename']) await client.ask(text)
  await client.close()
  await handler.seen('close')
  assert.deepEqual(
    handler.events.map(({ headers }) => headers['ce-user']),
    [undefined, 'zo%C3%AB', 'zo%C3%AB', 'a~b', 'a~b', undefined, undefined, 'a~b'],
  )

  await open(`${gateway.ws}/ws/b`)
  for (const pid of gateway.workers()) process.kill(pid, 'SIGKILL')
  const close = await handler.seen('close', ({ url }) => url === '/ws/b')
  assert.deepEqual([close.headers['ce-closecode'], close.headers['ce-user']], ['1006', 'zo%C3%AB'])
})

test('a route reads it, alone and in a batch', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', MAX_CONNECTIONS_PER_IP: 'off' } })
  await startApp(t, gateway.handlerSocket, {
    routes: (app) =>
      app.ws('/ws/in/:name', {
        open(request, reply) {
          reply.user = (request.params as { name: string }).name
        },
        message: (request, reply) => `${request.event.user} ${reply.user}`,
      }),
  })
  const clients = await Promise.all(Array.from({ length: 200 }, (_, i) => open(`${gateway.ws}/ws/in/${i}`)))
  const answers = await Promise.all(clients.map((client) => client.ask('x')))
  assert.deepEqual(
    answers,
    clients.map((_, i) => `${i} ${i}`),
  )
  await Promise.all(clients.map((client) => client.close()))
})

test('HANDSHAKE_HEADERS pass, and others do not', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    expect: [KILLED],
    env: { WORKERS: '1', HANDSHAKE_HEADERS: 'x-api-key, X-Tenant, x-list', RECORD_HEADERS: 'cookie, x-tenant' },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const headers = { 'X-Api-Key': 'secret', 'x-tenant': 'north', 'x-list': ['a', 'b'], 'x-other': 'c', cookie: 'd=e' }
  const client = await open(`${gateway.ws}/ws/a`, { headers: headers as unknown as Record<string, string> })
  await client.ask('x')
  for (const { headers } of handler.events) {
    assert.deepEqual([headers['x-api-key'], headers['x-tenant'], headers['x-list']], ['secret', 'north', 'a, b'])
    assert.equal(headers['x-other'], undefined)
  }
  for (const pid of gateway.workers()) process.kill(pid, 'SIGKILL')
  const close = await handler.seen('close')
  assert.deepEqual(
    [close.headers['x-api-key'], close.headers['x-tenant'], close.headers.cookie],
    [undefined, 'north', 'd=e'],
  )
  await until('the worker is replaced', () => gateway.workers().length === 1)
})
