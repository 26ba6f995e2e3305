// What a stop and a reload with DRAIN_SECONDS do with sessions.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack } from './support.ts'

const ALLOW = { 'ws-session': '60', 'ws-subscribe': 'news' }

test('a stop during an event keeps its answer, and the messages that wait behind it', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const slow: ServerResponse[] = []
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open') return void response.writeHead(204, ALLOW).end()
    if (`${event.body}` === 'a') return void slow.push(response)
    response.writeHead(200, { 'content-type': 'text/plain' }).end(`re ${event.body}`)
  })
  const [client, idle] = await Promise.all([0, 1].map(() => new SessionClient(gateway.port, '/ws/a').dial()))
  for (const text of ['a', 'b', 'c']) client!.send(text)
  await handler.seen('message')
  await until('the gateway has all three', async () => {
    const { connections } = (await control(gateway, 'GET', '/connections')).json
    return connections.some((each: any) => each.frames.in === 3)
  })
  const stopped = gateway.quit()
  await until('the idle session is parked', () =>
    readdirSync(`${gateway.run}/journal`).some((name) => name.startsWith('parked-')),
  )
  slow[0]!.writeHead(200, { 'content-type': 'text/plain' }).end('re a')
  assert.equal(await stopped, 0)
  await gateway.startAgain()
  await Promise.all([client!.dial(), idle!.dial()])
  assert.deepEqual([client!.first.resumed, client!.first.received, idle!.first.resumed], [true, 3, true])
  for (const text of ['re a', 're b', 're c']) assert.equal(await client!.next(), text)
  assert.deepEqual(
    handler.events.filter(({ type }) => type === 'framegate.message').map(({ body }) => `${body}`),
    ['a', 'b', 'c'],
  )
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.close').length, 0)
})

test('after a reload with DRAIN_SECONDS clients get 1012, and come back to a new worker', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '2', DRAIN_SECONDS: '1s' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    response.writeHead(204, event.type === 'framegate.open' ? ALLOW : {}).end()
  })
  const away = async (count: number): Promise<unknown> =>
    until(`${count} are away`, async () => (await control(gateway, 'GET', '/status')).json.sessions.away === count)
  const [here, gone] = await Promise.all([0, 1].map(() => new SessionClient(gateway.port, '/ws/a').dial()))
  gone!.cut()
  await away(1)
  await gateway.reload()
  assert.equal((await here!.raw.closeFrame()).code, 1012)
  await away(2)
  assert.equal((await control(gateway, 'POST', '/topics/news', 'hello')).json.delivered, 2)
  for (const client of [here!, gone!]) {
    await comeBack(client)
    assert.equal(client.first.resumed, true)
    assert.equal(await client.next(), 'hello')
  }
  const { workers } = (await control(gateway, 'GET', '/status')).json
  const held = workers.filter((worker: any) => worker.connections > 0)
  assert.ok(held.length > 0 && held.every((worker: any) => !worker.is_leaving), JSON.stringify(workers))
  assert.deepEqual(
    handler.events.map(({ type }) => type),
    ['framegate.open', 'framegate.open'],
  )
})
