// A key is kept for its time, or the request is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KILLED, startGateway } from '../support/gateway.ts'
import { ask, join, leave, pushGateway } from '../support/push-gateway.ts'
import { hold } from '../support/standstill.ts'

test('when there is no room for another key the request is refused, and what was kept still counts', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '1' })
  const member = await join(gateway, 'news')
  const push = (key: string, body: string) =>
    ask(gateway, 'POST', '/topics/news', { body, headers: { 'idempotency-key': key } })
  assert.equal((await push('first', 'once')).status, 200)
  assert.equal(await member.client.next(), 'once')

  const body = JSON.stringify(Array.from({ length: 1000 }, () => ({ path: '/nothing' })))
  let kept = 0
  let full = await ask(gateway, 'POST', '/batch', { body, headers: { 'idempotency-key': 'batch' } })
  while (full.status === 200) {
    kept += 1
    assert.ok(kept < 1000, 'it is full some time')
    full = await ask(gateway, 'POST', '/batch', { body, headers: { 'idempotency-key': `batch ${kept}` } })
  }
  assert.ok(kept > 250, `${kept} batches`)
  assert.deepEqual(
    [full.status, full.json.detail, full.headers['retry-after']],
    [503, 'too many requests with an idempotency-key within 60 s: nothing was done', '5'],
  )

  let refused = await push('fill', 'filled')
  for (let i = 0; refused.status === 200; i++) refused = await push(`fill ${i}`, 'filled')
  assert.equal(refused.status, 503)
  assert.deepEqual((await push('first', 'once')).json, { delivered: 1, dropped: 0 })
  let last = await member.client.ask('the last')
  while (last === 'filled') last = await member.client.next()
  assert.equal(last, 'the last', 'the repeat delivered nothing')
  leave(member)
})

test('a repeated batch with large answers reads again, and does nothing twice', async (t) => {
  const gateway = await pushGateway(t)
  const member = await join(gateway, `news?${'x'.repeat(2000)}`)
  const list = { method: 'GET', path: '/connections?show=query' }
  const body = JSON.stringify([{ path: '/topics/news', text: 'once' }, ...Array.from({ length: 500 }, () => list)])
  const batch = () => ask(gateway, 'POST', '/batch', { body, headers: { 'idempotency-key': 'large' } })
  const [first, second] = [await batch(), await batch()]
  assert.ok(first.body.length > 1_000_000)
  assert.deepEqual(second.json[0], first.json[0])
  assert.equal(second.json[500].body.count, 1)
  assert.equal(await member.client.next(), 'once')
  assert.equal(await member.client.ask('nothing more'), 'nothing more')
  leave(member)
})

test('the worker of the first request is killed: a repeat learns it, and nothing is done', async (t) => {
  const gateway = await startGateway(t, { handler: false, expect: [KILLED] })
  const batch = () =>
    ask(gateway, 'POST', '/batch', {
      body: '[{"path":"/topics/news","text":"once"}]',
      headers: { 'idempotency-key': 'killed' },
    })
  const [held, running] = gateway.workers()
  await hold(held!) // the other one waits for it, at most 5 s
  const first = Promise.allSettled([batch(), batch(), batch()])
  await ask(gateway, 'GET', '/healthz') // was accepted after them
  process.kill(running!, 'SIGKILL')
  process.kill(held!, 'SIGCONT')
  assert.ok((await first).some(({ status }) => status === 'rejected'))
  const { status, json } = await batch()
  assert.equal(status, 409)
  assert.equal(
    json.detail,
    'the worker with the first request of this idempotency-key was killed: its outcome is not known',
  )
})
