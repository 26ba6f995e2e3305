// How soon a push leaves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { control } from '../support/topic-gateway.ts'

test('a push does not wait until the client has acknowledged the frame before it (TCP_NODELAY)', async (t) => {
  const gateway = await startGateway(t)
  const client = await open(`${gateway.ws}/ws/echo`)
  const [{ id }] = (await control(gateway, 'GET', '/connections')).json.connections
  const times: number[] = []
  for (let i = 0; i < 21; i++) {
    assert.equal(await client.ask('question'), 'question')
    const began = performance.now()
    assert.equal((await control(gateway, 'POST', `/connections/${id}`, 'push')).status, 200)
    assert.equal(await client.next(), 'push')
    times.push(performance.now() - began)
  }
  times.sort((a, b) => a - b)
  t.diagnostic(`${times[10]!.toFixed(1)} ms`)
  // Linux delays an acknowledgement by 40 ms (tcp(7)), and Nagle's algorithm would wait for it.
  assert.ok(times[10]! < 30, `${times[10]} ms`)
  await client.close()
})
