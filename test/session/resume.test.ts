// A socket that outlives its transport: what its client gets when it comes back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack } from './support.ts'

const ALLOW = { 'ws-session': '60' }

test('a client that was cut comes back: nothing is lost, and nothing comes twice', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.message'
      ? void response.writeHead(200, { 'content-type': 'text/plain' }).end(`re ${event.body}`)
      : void response.writeHead(204, event.type === 'framegate.open' ? ALLOW : {}).end(),
  )
  const client = await new SessionClient(gateway.port, '/ws/a?x=1').dial()
  assert.equal(client.first.resumed, false)
  assert.equal(client.first.keep, 60)
  assert.equal((await handler.seen('open')).url, '/ws/a?x=1')
  client.send('one')
  assert.equal(await client.next(), 're one')
  client.cut()
  const [{ id }] = (await control(gateway, 'GET', '/connections')).json.connections
  await until('it is away', async () => (await control(gateway, 'GET', `/connections/${id}`)).json.session?.away >= 0)
  for (const text of ['a', 'b']) {
    const { status, json } = await control(gateway, 'POST', `/connections/${id}`, text)
    assert.deepEqual([status, json.delivered], [200, 1])
  }
  await client.dial()
  assert.equal(client.first.resumed, true)
  assert.equal(client.first.received, 1)
  assert.equal(await client.next(), 'a')
  assert.equal(await client.next(), 'b')
  client.send('two')
  assert.equal(await client.next(), 're two')
  client.raw.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
  await handler.seen('close')
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.open').length, 1)
})

test('a stop and a start: the session goes on with what waited, and its handler sees nothing', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '2' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.open'
      ? void response.writeHead(204, { ...ALLOW, 'ws-subscribe': 'news', 'ws-state': 'x', 'ws-user': 'ann' }).end()
      : void response
          .writeHead(200, { 'content-type': 'text/plain' })
          .end(`${event.body} ${event.headers['ce-state']}`),
  )
  const clients = await Promise.all(Array.from({ length: 20 }, () => new SessionClient(gateway.port, '/ws/a').dial()))
  for (const client of clients.slice(0, 10)) client.cut()
  await until('ten are away', async () => {
    const { connections } = (await control(gateway, 'GET', '/connections')).json
    return connections.filter((each: any) => each.session.away !== undefined).length === 10
  })
  assert.equal((await control(gateway, 'POST', '/topics/news', 'hello')).json.delivered, 20)
  const codes = clients.slice(10).map(async (client) => {
    assert.equal(await client.next(), 'hello')
    return (await client.raw.closeFrame()).code
  })
  assert.equal(await gateway.quit(), 0)
  assert.deepEqual(await Promise.all(codes), Array(10).fill(1012))
  await gateway.startAgain()
  await Promise.all(
    clients.map(async (client, i) => {
      await comeBack(client)
      assert.equal(client.first.resumed, true, `client ${i}`)
      if (i < 10) assert.equal(await client.next(), 'hello')
      client.send('still')
      assert.equal(await client.next(), 'still x')
    }),
  )
  assert.equal((await control(gateway, 'POST', '/users/ann', 'you')).json.delivered, 20)
  const types = handler.events.map(({ type }) => type)
  assert.deepEqual([...new Set(types)], ['framegate.open', 'framegate.message'])
  assert.equal(types.filter((type) => type === 'framegate.open').length, 20)
})
