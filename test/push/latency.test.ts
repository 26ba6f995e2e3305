// How soon a push leaves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { control } from '../support/topic-gateway.ts'

/** Rounds in which Linux acknowledges immediately, because the connection is new. */
const WARM_UP = 20

test('a push does not wait until the client has acknowledged the frame before it (TCP_NODELAY)', async (t) => {
  const gateway = await startGateway(t)
  const client = await open(`${gateway.ws}/ws/echo`)
  const [{ id }] = (await control(gateway, 'GET', '/connections')).json.connections
  const times: number[] = []
  for (let i = 0; i < WARM_UP + 40; i++) {
    assert.equal(await client.ask('question'), 'question')
    const began = performance.now()
    assert.equal((await control(gateway, 'POST', `/connections/${id}`, 'push')).status, 200)
    assert.equal(await client.next(), 'push')
    if (i >= WARM_UP) times.push(performance.now() - began)
  }
  times.sort((a, b) => a - b)
  const [quickest, median] = [times[4]!, times[20]!]
  t.diagnostic(`${quickest.toFixed(1)} ms, median ${median.toFixed(1)} ms`)
  // Linux delays an acknowledgement by 40 ms (tcp(7)), and Nagle's algorithm would wait for it, in every round. A busy
  // machine delays some.
  assert.ok(quickest < 30, `${quickest} ms`)
  await client.close()
})
