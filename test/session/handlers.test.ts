// A session whose location names a handler keeps it, wherever its client comes back to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { type Reply, startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack } from './support.ts'

const allow =
  (name: string): Reply =>
  ({ type }, response) => {
    if (type === 'framegate.open') return void response.writeHead(204, { 'ws-session': '60' }).end()
    response.setHeader('content-type', 'text/plain')
    response.end(type === 'framegate.message' ? name : '')
  }

test('its events go to the same handler after a move to another worker and after a restart', async (t) => {
  const port = await freePort()
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '2' },
    locations: `location /ws/own/ { set $ws_handler "http://127.0.0.1:${port}"; include socket.conf; }`,
  })
  const own = await startProbeHandler(t, port, allow('own'))
  const other = await startProbeHandler(t, gateway.handlerSocket, allow('other'))
  /** The worker that holds the only socket. */
  const holder = () =>
    until('a worker holds it', async () => {
      const { workers } = (await control(gateway, 'GET', '/status')).json
      return workers.find(({ connections }: { connections: number }) => connections === 1)?.name as string | undefined
    })
  const client = await new SessionClient(gateway.port, '/ws/own/a').dial()
  t.after(() => client.cut())
  const holders = new Set([await holder()])
  while (holders.size < 2) {
    client.cut()
    await comeBack(client)
    assert.equal(client.first.resumed, true)
    holders.add(await holder())
    client.send('who')
    assert.equal(await client.next(), 'own')
  }
  await gateway.quit()
  await gateway.startAgain()
  client.cut()
  await comeBack(client)
  assert.equal(client.first.resumed, true)
  client.send('who')
  assert.equal(await client.next(), 'own')
  const [{ id }] = (await control(gateway, 'GET', '/connections')).json.connections
  await control(gateway, 'DELETE', `/connections/${id}?code=4001&reason=`)
  assert.equal((await own.seen('close')).headers['ce-closecode'], '4001')
  assert.deepEqual(other.events, [])
})
