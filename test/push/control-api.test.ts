// The control API from outside, by raw HTTP over its unix socket.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { type Answer, ask, join, joinAll, joinMany, leave, pushGateway } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'

function assertProblem({ status, headers, json }: Answer, expected: number, detail: RegExp): void {
  assert.equal(status, expected)
  assert.equal(headers['content-type'], 'application/problem+json')
  assert.equal(json.type, 'about:blank')
  assert.equal(json.status, expected)
  assert.match(json.title, /^[A-Z]/)
  assert.match(json.detail, detail)
}

test('one connection: a frame is text or binary by its content type', async (t) => {
  const gateway = await pushGateway(t)
  const { client, id } = await join(gateway, 'news')
  const cases: Array<[string | undefined, boolean]> = [
    [undefined, true],
    ['text/plain', true],
    ['text/html; charset=utf-8', true],
    ['application/json', true],
    ['application/json; charset=utf-8', true],
    ['application/ld+json', true],
    ['application/x-www-form-urlencoded', true],
    ['APPLICATION/JSON', true],
    ['application/octet-stream', false],
    ['image/png', false],
    ['application/jsonish', false],
  ]
  for (const [type, isText] of cases) {
    const answer = await ask(gateway, 'POST', `/connections/${id}`, {
      body: '{"ä":1}',
      ...(type && { headers: { 'content-type': type } }),
    })
    assert.deepEqual([answer.status, answer.json], [200, { delivered: 1, dropped: 0 }])
    assert.match(answer.headers['content-type']!, /^application\/json\b/)
    assert.deepEqual(await client.next(), isText ? '{"ä":1}' : Buffer.from('{"ä":1}'), String(type))
  }
  const bytes = Buffer.from([0, 255, 128, 10])
  await ask(gateway, 'POST', `/connections/${id}`, {
    body: bytes,
    headers: { 'content-type': 'application/octet-stream' },
  })
  assert.deepEqual(await client.next(), bytes)
  await ask(gateway, 'POST', `/connections/${id}`)
  assert.equal(await client.next(), '', 'an empty frame')
  const large = 'x'.repeat(1024 * 1024)
  assert.equal((await ask(gateway, 'POST', `/connections/${id}`, { body: large })).status, 200)
  assert.equal(await client.next(), large, 'MAX_MESSAGE_BYTES, which nginx keeps in a file')
  assertProblem(await ask(gateway, 'POST', `/connections/${id}`, { body: Buffer.from([0xff]) }), 400, /UTF-8/)
  leave({ client, id })
})

test('facts of a connection, and of one that is gone', async (t) => {
  const gateway = await pushGateway(t)
  const { client, id } = await join(gateway, 'news?user=J%C3%BCrgen')
  const { status, json } = await ask(gateway, 'GET', `/connections/${id}`)
  assert.equal(status, 200)
  assert.ok(Math.abs(Date.now() - Date.parse(json.opened)) < 60_000)
  const { opened, age, idle, ...facts } = json
  assert.deepEqual(facts, {
    id,
    user: 'Jürgen',
    address: '127.0.0.1',
    path: '/ws/in/news',
    topics: ['news'],
    outbox: 0,
    frames: { in: 0, out: 1 },
    bytes: { in: 0, out: 32 },
  })
  for (const seconds of [age, idle]) assert.ok(Number.isInteger(seconds) && seconds >= 0)

  await client.close()
  await until('gone', async () => (await ask(gateway, 'GET', `/connections/${id}`)).status === 410)
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', ''],
  ]) {
    assertProblem(await ask(gateway, method!, `/connections/${id}${path}`), 410, /gone/)
    assertProblem(await ask(gateway, method!, '/connections/never'), 410, /never was/)
  }
  for (const method of ['PUT', 'DELETE'])
    assertProblem(await ask(gateway, method, `/topics/news/connections/${id}`), 410, /gone/)
  assert.deepEqual((await ask(gateway, 'GET', '/topics')).json, { topics: [] })
})

test('DELETE closes a connection with code and reason', async (t) => {
  const gateway = await pushGateway(t)
  const cases: Array<[string, { code: number; reason: string }]> = [
    ['', { code: 1000, reason: '' }],
    ['?code=4001&reason=signed%20out+%C3%A4', { code: 4001, reason: 'signed out ä' }],
    ['?reason=bye', { code: 1000, reason: 'bye' }],
  ]
  for (const [query, closed] of cases) {
    const { client, id } = await join(gateway, 'news')
    const answer = await ask(gateway, 'DELETE', `/connections/${id}${query}`)
    assert.deepEqual([answer.status, answer.body], [204, ''])
    assert.deepEqual(await client.closed, closed)
  }
  const { client, id } = await join(gateway, 'news')
  for (const code of ['1001', '1005', '2999', '5000', 'x', '4001.5', '']) {
    assertProblem(await ask(gateway, 'DELETE', `/connections/${id}?code=${code}`), 400, /1000 or 3000 to 4999/)
  }
  assertProblem(await ask(gateway, 'DELETE', `/connections/${id}?reason=${'x'.repeat(124)}`), 400, /123 bytes/)
  assertProblem(await ask(gateway, 'DELETE', `/connections/${id}?reason=%ff`), 400, /UTF-8/)
  leave({ client, id })
})

test('a topic, a user and everybody on four workers; except leaves one out', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4' })
  const ann = await joinAll(gateway, 'news?user=ann', 20, 4)
  const bob = await joinMany(gateway, 'other?user=bob', 10)
  const cases: Array<[string, typeof ann]> = [
    ['/topics/news', ann],
    ['/users/bob', bob],
    ['/broadcast', [...ann, ...bob]],
    ['/topics/nobody', []],
    ['/users/nobody', []],
    [`/topics/news?except=${ann[3]!.id}`, ann.filter((_, i) => i !== 3)],
    [`/users/ann?except=${bob[0]!.id}`, ann],
    [`/broadcast?except=${ann[0]!.id}`, [...ann.slice(1), ...bob]],
  ]
  for (const [path, members] of cases) {
    const { status, json } = await ask(gateway, 'POST', path, { body: path })
    assert.deepEqual([status, json], [200, { delivered: members.length, dropped: 0 }], path)
    for (const { client } of members) assert.equal(await client.next(), path)
  }
  // Whoever was left out has nothing more: the next message of each is its own echo.
  for (const { client } of [...ann, ...bob]) assert.equal(await client.ask('nothing before'), 'nothing before')
  leave(...ann, ...bob)
})

test('PUT and DELETE subscribe and unsubscribe; topics with any characters', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4', MAX_TOPICS: '3' })
  const { client, id } = await join(gateway, 'first')
  for (const topic of ['a/b c', 'räume+?&#%', '.']) {
    const path = `/topics/${encodeURIComponent(topic).replace('.', '%2E')}`
    for (let i = 0; i < 2; i++) assert.equal((await ask(gateway, 'PUT', `${path}/connections/${id}`)).status, 204)
    assert.deepEqual((await ask(gateway, 'GET', '/topics')).json, {
      topics: [topic, 'first'].sort().map((name) => ({ topic: name, count: 1 })),
    })
    const members = (await ask(gateway, 'GET', path)).json
    assert.deepEqual([members.topic, members.count, members.connections[0].id], [topic, 1, id])
    assert.deepEqual((await ask(gateway, 'POST', path, { body: topic })).json, { delivered: 1, dropped: 0 })
    assert.equal(await client.next(), topic)
    for (let i = 0; i < 2; i++) assert.equal((await ask(gateway, 'DELETE', `${path}/connections/${id}`)).status, 204)
    assert.deepEqual((await ask(gateway, 'GET', path)).json, { topic, count: 0, connections: [] })
  }
  const longest = 'x'.repeat(255)
  assert.equal((await ask(gateway, 'PUT', `/topics/${longest}/connections/${id}`)).status, 204)
  assert.equal((await ask(gateway, 'PUT', `/topics/third/connections/${id}`)).status, 204)
  assertProblem(await ask(gateway, 'PUT', `/topics/fourth/connections/${id}`), 409, /3 topics.*MAX_TOPICS/)
  for (const [method, path] of [
    ['PUT', `/connections/${id}`],
    ['POST', ''],
    ['GET', ''],
  ]) {
    for (const topic of [`${longest}x`, '%ff'])
      assertProblem(await ask(gateway, method!, `/topics/${topic}${path}`), 400, /1 to 255 bytes of UTF-8/)
  }
  leave({ client, id })
})

test('what is too large, unknown or not taken', async (t) => {
  const gateway = await pushGateway(t, { MAX_MESSAGE_BYTES: '1k' })
  const { client, id } = await join(gateway, 'news')
  for (const path of [`/connections/${id}`, '/topics/news', '/users/ann', '/broadcast']) {
    assertProblem(await ask(gateway, 'POST', path, { body: 'x'.repeat(1025) }), 413, /1024 bytes.*MAX_MESSAGE_BYTES/)
  }
  for (const path of ['/nothing', '/nothing/', '/connections/a/b', '/topics/a/connections', '/batch/1']) {
    assertProblem(await ask(gateway, 'GET', path), 404, /openapi\.json/)
  }
  const taken: Array<[string, string]> = [
    ['/connections', 'GET, HEAD'],
    [`/connections/${id}`, 'DELETE, GET, HEAD, POST'],
    ['/topics', 'GET, HEAD'],
    ['/topics/news', 'GET, HEAD, POST'],
    [`/topics/news/connections/${id}`, 'DELETE, PUT'],
    ['/users/ann', 'POST'],
    ['/broadcast', 'POST'],
    ['/healthz', 'GET, HEAD'],
    ['/status', 'GET, HEAD'],
    ['/metrics', 'GET, HEAD'],
    ['/batch', 'POST'],
    ['/openapi.json', 'GET, HEAD'],
  ]
  for (const [path, allowed] of taken) {
    const answer = await ask(gateway, 'PATCH', path)
    assertProblem(answer, 405, new RegExp(allowed))
    assert.equal(answer.headers.allow, allowed, path)
  }
  for (const limit of ['0', '1001', '-1', '1.5', 'x', '']) {
    for (const path of ['/connections', '/topics/news'])
      assertProblem(await ask(gateway, 'GET', `${path}?limit=${limit}`), 400, /1 to 1000/)
  }
  assert.equal(await client.ask('nothing came'), 'nothing came')
  leave({ client, id })
})

test('nginx’s own refusals are problems too, and nothing that is asked is a 500', async (t) => {
  const gateway = await pushGateway(t, {}, { expect: [/too large body/] })
  assertProblem(
    await ask(gateway, 'POST', '/broadcast', { headers: { 'content-length': String(300 * 1024 * 1024) } }),
    413,
    /./,
  )
  assertProblem(await ask(gateway, 'GET', '/../x'), 400, /./)
  assertProblem(await ask(gateway, 'GET', `/${'x'.repeat(40_000)}`), 414, /./)
  assertProblem(await ask(gateway, 'GET', '/healthz', { headers: { 'x-long': 'x'.repeat(40_000) } }), 400, /./)
  const odd: Array<[string, string, number[]]> = [
    ['DELETE', '/connections/x?reason', [400, 410]],
    ['DELETE', '/connections/x?reason=a&reason=b', [400, 410]],
    ['DELETE', '/connections/x?code=1000&code=3000', [400]],
    ['GET', '/connections?cursor', [200, 400]],
    ['GET', '/connections?cursor=a&cursor=b', [200, 400]],
    ['POST', '/broadcast?except', [200, 400]],
    ['POST', '/broadcast?except=a&except=b', [400]],
    ['GET', '/topics/a?limit=0x10', [400]],
    ['GET', '/connections?limit=1e2', [400]],
    ['POST', '/batch?x=1', [400]],
    ['GET', '/openapi.json?x', [200]],
    ['GET', `/connections/${'x'.repeat(5000)}`, [410]],
  ]
  for (const [method, path, expected] of odd) {
    const { status } = await ask(gateway, method, path)
    assert.ok(expected.includes(status), `${method} ${path.slice(0, 50)}: ${status}`)
  }
  const twoTypes = await ask(gateway, 'POST', '/broadcast', {
    body: 'x',
    headers: { 'content-type': ['text/plain', 'image/png'] as unknown as string },
  })
  assert.ok([200, 400].includes(twoTypes.status), `two content types: ${twoTypes.status}`)
  assert.equal(
    (await ask(gateway, 'POST', '/broadcast', { headers: { 'idempotency-key': '' } })).status,
    400,
    'an empty key would protect nothing',
  )
})

test('a reader that is too slow: 429, dropped, and its outbox is shown', async (t) => {
  const gateway = await pushGateway(t, { OUTBOX_BYTES: '64k' })
  const [slow, quick] = [await join(gateway, 'news'), await join(gateway, 'news')]
  slow.client.socket.pause()
  const body = 'x'.repeat(64 * 1024)
  const refused = await until(
    'it refuses',
    async () => {
      const answer = await ask(gateway, 'POST', `/connections/${slow.id}`, { body })
      return answer.status !== 200 && answer
    },
    30_000,
  )
  assertProblem(refused, 429, /outbox is full/)
  assert.equal(refused.headers['retry-after'], '1')
  // The kernel may have found room meanwhile. Then that outbox is empty, and takes one more.
  const counts = await until('a topic finds it full', async () => {
    const { json } = await ask(gateway, 'POST', '/topics/news', { body })
    assert.equal(await quick.client.next(), body)
    return json.dropped > 0 && json
  })
  assert.deepEqual(counts, { delivered: 1, dropped: 1 })
  const outbox = async (): Promise<number> => (await ask(gateway, 'GET', `/connections/${slow.id}`)).json.outbox
  assert.ok(await until('what waits is shown', outbox))
  leave(slow, quick)
})

test('over TCP only with the token', async (t) => {
  const port = await freePort()
  const token = 'a-token-of-some-length'
  const gateway = await pushGateway(t, { CONTROL_PORT: String(port), CONTROL_TOKEN: token })
  const member = await join(gateway, 'news')
  const wrong = [
    undefined,
    token,
    'Bearer',
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
    `Bearer ${'x'.repeat(token.length)}`,
    `Basic ${token}`,
    `Bearer ${token} x`,
  ]
  for (const authorization of wrong) {
    const answer = await ask(gateway, 'POST', '/topics/news', {
      port,
      body: 'no',
      ...(authorization && { headers: { authorization } }),
    })
    assertProblem(answer, 401, /CONTROL_TOKEN/)
    assert.equal(answer.headers['www-authenticate'], 'Bearer')
    assert.ok(!answer.body.includes(token))
  }
  for (const path of ['/healthz', '/status', '/metrics', '/openapi.json', '/nothing'])
    assertProblem(await ask(gateway, 'GET', path, { port }), 401, /CONTROL_TOKEN/)
  for (const scheme of ['Bearer', 'bearer']) {
    const answer = await ask(gateway, 'POST', '/topics/news', {
      port,
      body: scheme,
      headers: { authorization: `${scheme} ${token}` },
    })
    assert.deepEqual([answer.status, answer.json], [200, { delivered: 1, dropped: 0 }])
    assert.equal(await member.client.next(), scheme)
  }
  assert.equal((await ask(gateway, 'GET', '/status')).status, 200, 'the unix socket needs none')
  leave(member)
})

test('health and status', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '3' })
  const members = await joinMany(gateway, 'news', 7)
  assert.deepEqual((await ask(gateway, 'GET', '/healthz')).json, { status: 'ok' })
  const json = await until('the workers are linked', async () => {
    const status = (await ask(gateway, 'GET', '/status')).json
    return status.missing_links === 0 && status
  })
  const { workers, ...rest } = json
  assert.deepEqual([rest.node, rest.connections, workers.length], [members[0]!.id.slice(0, 4), 7, 3])
  for (const worker of workers) {
    const held = members.filter(({ id }) => id.slice(4, 10) === worker.name)
    assert.deepEqual([worker.connections, worker.is_leaving, worker.waiting], [held.length, false, 0])
    assert.ok(
      gateway.workers().includes(worker.pid) && worker.memory > worker.lua_memory && worker.lua_memory > 100_000,
    )
  }
  leave(...members)
})
