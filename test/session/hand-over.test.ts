// A socket moves to the worker that its client comes back to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { publisher } from '../support/publisher.ts'
import { SessionClient } from '../support/session-client.ts'

test('a socket moves among 4 workers under publishers that never stop: each frame once and in order', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '4', MAX_CONNECTIONS_PER_IP: 'off' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.open'
      ? void response.writeHead(204, { 'ws-session': '60', 'ws-subscribe': 'a, b', 'ws-user': 'ann' }).end()
      : void response.writeHead(200, { 'content-type': 'text/plain' }).end(event.body),
  )
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const publishers = ['a', 'b'].map((topic) => publisher(gateway, topic))
  const last: Record<string, number> = { a: 0, b: 0 }
  const take = (text: string): void => {
    const [topic, number] = text.split(' ')
    assert.equal(Number(number), last[topic!]! + 1, `${topic} ${number} after ${last[topic!]}`)
    last[topic!] = Number(number)
  }
  const moves = 200
  for (let i = 0; i < moves; i++) {
    for (let j = 0; j < 5; j++) take(await client.next())
    client.cut()
    await client.dial()
    assert.equal(client.first.resumed, true, `dial ${i}`)
  }
  const ends = await Promise.all(publishers.map(({ stop }) => stop()))
  while (last.a !== ends[0] || last.b !== ends[1]) take(await client.next())
  const { sessions_moved_total: moved, sessions_moves_failed_total: failed } = await samples(gateway)
  assert.ok(moved! > 0 && moved! <= moves, `${moved} moves`)
  assert.equal(failed, 0)
  t.diagnostic(`${moves} returns, ${ends} publications`)
  client.send('bye')
  assert.equal(await client.next(), 'bye')
  assert.deepEqual(
    handler.events.map(({ type }) => type),
    ['framegate.open', 'framegate.message'],
  )
})
