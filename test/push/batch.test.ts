// Many requests in one, and requests that are repeated.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, join, joinMany, leave, pushGateway } from '../support/push-gateway.ts'

test('a batch: an answer for each element, in their order', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4', MAX_MESSAGE_BYTES: '1k' })
  const [a, b] = [await join(gateway, 'news?user=ann'), await join(gateway, 'news')]
  const elements = [
    { method: 'POST', path: `/connections/${a.id}`, text: 'one' },
    { path: '/topics/news', base64: Buffer.from([1, 255]).toString('base64') },
    { method: 'POST', path: `/users/ann?except=${b.id}`, text: 'zwei ä' },
    { method: 'POST', path: '/connections/gone', text: 'no' },
    { method: 'PUT', path: `/topics/r%2Fs/connections/${a.id}` },
    { method: 'POST', path: '/topics/r%2Fs', text: '' },
    { method: 'GET', path: '/healthz' },
    { method: 'POST', path: '/broadcast', text: 'x'.repeat(1025) },
    { method: 'GET', path: '/nothing' },
    { method: 'DELETE', path: `/connections/${b.id}?code=4000&reason=last` },
  ]
  const { status, json } = await ask(gateway, 'POST', '/batch', { body: JSON.stringify(elements) })
  assert.equal(status, 200)
  assert.deepEqual(
    json.map((answer: { status: number }) => answer.status),
    [200, 200, 200, 410, 204, 200, 200, 413, 404, 204],
  )
  assert.deepEqual(json[0].body, { delivered: 1, dropped: 0 })
  assert.deepEqual(json[1].body, { delivered: 2, dropped: 0 })
  assert.equal(json[3].body.title, 'Gone')
  assert.deepEqual(json[4], { status: 204 })
  assert.deepEqual(json[6].body, { status: 'ok' })
  assert.equal(await a.client.next(), 'one')
  for (const { client } of [a, b]) assert.deepEqual(await client.next(), Buffer.from([1, 255]))
  assert.equal(await a.client.next(), 'zwei ä')
  assert.equal(await a.client.next(), '')
  assert.deepEqual(await b.client.closed, { code: 4000, reason: 'last' })
  leave(a)
})

test('a batch that is none, and elements that are none', async (t) => {
  const gateway = await pushGateway(t)
  for (const body of ['', 'x', '1', '"x"', '{}', '{"method":"GET","path":"/healthz"}', 'null', '[']) {
    const answer = await ask(gateway, 'POST', '/batch', { body })
    assert.equal(answer.status, 400, body)
    assert.equal(answer.headers['content-type'], 'application/problem+json')
  }
  assert.deepEqual((await ask(gateway, 'POST', '/batch', { body: '[]' })).json, [])
  const elements = [
    1,
    null,
    'x',
    [],
    {},
    { path: 7 },
    { path: 'topics/a' },
    { path: '/topics/a', text: 7 },
    { path: '/topics/a', text: {} },
    { path: '/topics/a', base64: 7 },
    { path: '/topics/a', base64: '***' },
  ]
  const answer = await ask(gateway, 'POST', '/batch', { body: JSON.stringify(elements) })
  assert.equal(answer.status, 200)
  const statuses = answer.json.map(({ status }: { status: number }) => status)
  assert.deepEqual(
    statuses,
    elements.map(() => 400),
    answer.body,
  )
  const many = Array.from({ length: 1001 }, () => ({ method: 'GET', path: '/healthz' }))
  assert.equal((await ask(gateway, 'POST', '/batch', { body: JSON.stringify(many) })).status, 413)
  assert.equal((await ask(gateway, 'POST', '/batch', { body: JSON.stringify(many.slice(1)) })).json.length, 1000)
})

test('an idempotency-key delivers once, and answers the same again', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4' })
  const members = await joinMany(gateway, 'news', 8)
  const push = (key: string, body: string, path = '/topics/news') =>
    ask(gateway, 'POST', path, { body, headers: { 'idempotency-key': key } })
  for (let i = 0; i < 5; i++) assert.deepEqual((await push('one', 'once')).json, { delivered: 8, dropped: 0 })

  const together = await Promise.all(Array.from({ length: 20 }, () => push('two', 'at once')))
  assert.deepEqual(
    together.map(({ status, json }) => [status, json]),
    together.map(() => [200, { delivered: 8, dropped: 0 }]),
  )

  const other = await push('one', 'another body')
  assert.equal(other.status, 422)
  assert.equal(other.headers['content-type'], 'application/problem+json')
  assert.equal((await push('one', 'once', '/broadcast')).status, 422, 'another resource')
  const racing = await Promise.all(['a', 'b'].map((body) => push('three', body)))
  assert.deepEqual(racing.map(({ status }) => status).sort(), [200, 422])
  const won = ['a', 'b'][racing.findIndex(({ status }) => status === 200)]
  for (const { client } of members) {
    assert.deepEqual([await client.next(), await client.next(), await client.next()], ['once', 'at once', won])
    assert.equal(await client.ask('nothing more'), 'nothing more')
  }
  leave(...members)
})

test('an idempotency-key keeps refusals, empty answers and batches too', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4' })
  const { client, id } = await join(gateway, 'news')
  const headers = (key: string) => ({ headers: { 'idempotency-key': key } })
  for (let i = 0; i < 2; i++) {
    const gone = await ask(gateway, 'POST', '/connections/gone', headers('gone'))
    assert.deepEqual(
      [gone.status, gone.headers['content-type'], gone.json.title],
      [410, 'application/problem+json', 'Gone'],
    )
    const batch = await ask(gateway, 'POST', '/batch', {
      body: JSON.stringify([{ path: '/topics/news', text: 'in a batch' }]),
      ...headers('batch'),
    })
    assert.deepEqual(batch.json, [{ status: 200, body: { delivered: 1, dropped: 0 } }])
  }
  assert.equal(await client.next(), 'in a batch')
  assert.equal(await client.ask('nothing more'), 'nothing more')
  for (let i = 0; i < 2; i++) {
    const closed = await ask(gateway, 'DELETE', `/connections/${id}`, headers('close'))
    assert.deepEqual([closed.status, closed.body], [204, ''])
  }
  await client.closed
})
