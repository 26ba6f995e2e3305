// lua/framegate/control/openapi.json and the control API are held against each other, both ways.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { project, read } from '../project/files.ts'
import type { Gateway } from '../support/gateway.ts'
import { type Answer, ask, join, leave, pushGateway, type Question } from '../support/push-gateway.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'options', 'head', 'trace']

const document = JSON.parse(read('lua/framegate/control/openapi.json'))

function resolve(value: any): any {
  if (value?.$ref === undefined) return value
  return value.$ref
    .slice(2)
    .split('/')
    .reduce((part: any, name: string) => part[name], document)
}

function operations(): Array<{ path: string; method: string; operation: any }> {
  return Object.entries<any>(document.paths).flatMap(([path, item]) =>
    Object.entries<any>(item)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
}

function validator(): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ;(formats as unknown as (ajv: Ajv2020) => void)(ajv)
  ajv.addSchema(document, 'openapi')
  return ajv
}

/** Resources of control.lua and what each takes: { '/topics/{topic}': ['GET', 'POST'] }. */
function resourcesInCode(): Record<string, string[]> {
  const [, table] = /^local RESOURCES = \{\n([^]*?)^\}/m.exec(read('lua/framegate/control/api.lua')) ?? []
  assert.ok(table, 'control.lua has a table RESOURCES')
  const found = [...table.matchAll(/^ {2}\{ \{ (.*?) \}, (.*) \},$/gm)].map(
    ([, segments, methods]) =>
      [
        `/${JSON.parse(`[${segments}]`).join('/')}`,
        [...methods!.matchAll(/\b(GET|POST|PUT|DELETE) =/g)].map((match) => match[1]!).sort(),
      ] as const,
  )
  assert.ok(found.length >= 9)
  return Object.fromEntries(found)
}

test('the document has the resources of control.lua and no others', () => {
  const inCode: Record<string, string[]> = { '/batch': ['POST'], '/openapi.json': ['GET'], ...resourcesInCode() }
  const told: Record<string, string[]> = {}
  for (const { path, method } of operations()) told[path] = [...(told[path] ?? []), method].sort()
  assert.deepEqual(told, inCode)
})

test('the document is well-formed: every reference leads somewhere, and everything is used', () => {
  assert.equal(document.openapi, '3.1.0')
  assert.equal(document.info.version, JSON.parse(read('package.json')).version, project)
  const references = new Set([...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!))
  for (const reference of references) assert.ok(resolve({ $ref: reference }), reference)
  for (const [kind, entries] of Object.entries<any>(document.components)) {
    if (kind === 'securitySchemes') continue
    for (const name of Object.keys(entries))
      assert.ok(references.has(`#/components/${kind}/${name}`), `${kind}/${name} is used`)
  }
  const ids = operations().map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length)
  for (const { path, operation } of operations()) {
    const parameters = [...(document.paths[path].parameters ?? []), ...(operation.parameters ?? [])].map(resolve)
    const inPath = parameters
      .filter((parameter: any) => parameter.in === 'path')
      .map((parameter: any) => parameter.name)
    assert.deepEqual(
      inPath,
      [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
      path,
    )
  }
})

test('the gateway serves the document, and answers as it says', async (t) => {
  const gateway = await pushGateway(
    t,
    { WORKERS: '3', MAX_MESSAGE_BYTES: '1k', MAX_TOPICS: '2', HISTORY: 'kept=10/1m', TIMERS: '24h /ws/in/news' },
    { routes: (app) => app.ws('/ws/kept', { session: '1m', open: (_request, reply) => void reply.alarm(60) }) },
  )
  const served = await ask(gateway, 'GET', '/openapi.json')
  assert.deepEqual(served.json, document)
  await checkMethods(gateway)
  await checkAnswers(t, gateway)
})

async function checkMethods(gateway: Gateway): Promise<void> {
  for (const path of Object.keys(document.paths)) {
    const told = operations()
      .filter((operation) => operation.path === path)
      .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
      .sort()
    const { status, headers } = await ask(gateway, 'PATCH', path.replace(/\{\w+\}/g, 'x'))
    assert.equal(status, 405, path)
    assert.deepEqual(headers.allow!.split(', '), told, path)
  }
}

async function checkAnswers(t: TestContext, gateway: Gateway): Promise<void> {
  const ajv = validator()
  const seen = new Set<string>()
  const check = async (
    path: string,
    method: string,
    question: Question & { [parameter: `{${string}}`]: string; query?: string } = {},
  ): Promise<Answer> => {
    const { query = '', ...rest } = question
    const real = path.replace(/\{\w+\}/g, (name) => encodeURIComponent((rest as Record<string, string>)[name] ?? 'x'))
    const answer = await ask(gateway, method, real + query, rest)
    const told = resolve(document.paths[path][method.toLowerCase()].responses[answer.status])
    assert.ok(told, `${method} ${path} answers ${answer.status}, which is not told: ${answer.body}`)
    const type = answer.headers['content-type']?.split(';')[0]
    const types = Object.keys(told.content ?? {})
    assert.ok(
      type === undefined ? types.length === 0 : types.includes(type),
      `${method} ${path} ${answer.status}: ${type}`,
    )
    const schema = type && told.content[type].schema
    if (schema) {
      const reference = schema.$ref
        ? { $ref: `openapi${schema.$ref}` }
        : JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'))
      const valid = ajv.validate(reference, answer.json ?? answer.body)
      assert.ok(valid, `${method} ${path} ${answer.status}: ${ajv.errorsText()}: ${answer.body}`)
    }
    seen.add(`${method} ${path} ${answer.status}`)
    return answer
  }
  const members = [await join(gateway, 'news?user=ann'), await join(gateway, 'news')]
  const session = await new SessionClient(gateway.port, '/ws/kept').dial()
  const id = members[0]!.id
  const tooLarge = 'x'.repeat(1025)
  await check('/connections', 'GET', { query: '?limit=1' })
  const sockets = (await check('/connections', 'GET')).json.connections
  assert.ok(sockets.some((socket: any) => socket.session && socket.alarm))
  session.cut()
  await until('it is away', async () => (await ask(gateway, 'GET', '/status')).json.sessions.away === 1)
  await check('/connections', 'GET')
  await check('/connections', 'GET', { query: '?limit=0' })
  await check('/closes', 'GET', { query: '?limit=0' })
  for (const method of ['GET', 'POST', 'DELETE']) await check('/connections/{id}', method, { '{id}': 'gone' })
  await check('/connections/{id}', 'GET', { '{id}': id })
  await check('/connections/{id}', 'GET', { '{id}': id, query: '?show=all' })
  await check('/connections/{id}', 'DELETE', { '{id}': id, query: '?code=1' })
  for (const body of ['frame', tooLarge, Buffer.from([255])]) {
    await check('/connections/{id}', 'POST', { '{id}': id, body })
    for (const path of ['/topics/{topic}', '/users/{user}', '/broadcast'])
      await check(path, 'POST', { '{topic}': 'news', '{user}': 'ann', body })
  }
  await check('/topics', 'GET')
  await check('/topics/{topic}', 'GET', { '{topic}': 'news' })
  await check('/topics/{topic}', 'GET', { '{topic}': 'news', query: '?limit=1' })
  await check('/topics/{topic}', 'GET', { '{topic}': 'x'.repeat(256) })
  await check('/topics/{topic}', 'POST', { '{topic}': 'kept', body: 'frame' })
  for (const [topic, query] of [
    ['kept', '?last=5'],
    ['kept', '?last=0'],
    ['kept', '?after=never'],
    ['news', ''],
  ])
    await check('/topics/{topic}/messages', 'GET', { '{topic}': topic!, query: query! })
  await check('/topics/{topic}/connections/{id}', 'PUT', { '{topic}': 'two', '{id}': id, query: '?last=1' })
  for (const topic of ['two', 'three', 'x'.repeat(256)])
    await check('/topics/{topic}/connections/{id}', 'PUT', { '{topic}': topic, '{id}': id })
  for (const [topic, member] of [
    ['two', id],
    ['two', 'gone'],
    ['x'.repeat(256), id],
  ]) {
    for (const method of ['DELETE', 'PUT'])
      await check('/topics/{topic}/connections/{id}', method, { '{topic}': topic!, '{id}': member! })
  }
  for (const body of [
    '[]',
    '{',
    JSON.stringify([
      { path: '/topics/news', text: 'x' },
      { path: '/connections/gone' },
      { method: 'DELETE', path: `/topics/a/connections/${id}` },
    ]),
    JSON.stringify(Array(1001).fill({ path: '/healthz' })),
  ])
    await check('/batch', 'POST', { body })
  for (const body of ['a', 'b']) {
    for (const path of ['/broadcast', '/topics/{topic}', '/users/{user}'])
      await check(path, 'POST', { body, headers: { 'idempotency-key': path } })
    await check('/connections/{id}', 'POST', { '{id}': id, body, headers: { 'idempotency-key': 'send' } })
    await check('/batch', 'POST', {
      body: `[{"path":"/broadcast","text":"${body}"}]`,
      headers: { 'idempotency-key': 'batch' },
    })
  }
  for (const [body, accept] of [
    ['{"items":[{"channel":"news","formats":{"ws-message":{"content":"hello"}}}]}', '*/*'],
    ['{"items":[]}', 'application/json'],
    ['{"items":[]}', 'text/html'],
    ['{"items":1}', ''],
    [JSON.stringify({ items: Array(1001).fill({}) }), ''],
  ])
    await check('/publish', 'POST', { body: body!, headers: { accept: accept! } })
  for (const path of ['/nodes', '/healthz', '/status', '/metrics', '/openapi.json']) await check(path, 'GET')
  await check('/connections/{id}', 'DELETE', { '{id}': id })
  await until('the list of closed sockets has it', async () => (await ask(gateway, 'GET', '/closes')).json.count > 0)
  await check('/closes', 'GET')

  // Those that other tests show: a token that is wrong, a page of another origin, a reader that is too slow, a key that is in use, a body that is compressed, a worker that hangs.
  const elsewhere = ['401', '403', '409', '415', '422', '429', '503', '504']
  const missing = operations()
    .flatMap(({ path, method, operation }) =>
      Object.keys(operation.responses)
        .filter((status) => !elsewhere.includes(status))
        .map((status) => `${method} ${path} ${status}`),
    )
    .filter((answer) => !seen.has(answer))
  assert.deepEqual(missing, [], 'every answer of the document was seen')
  t.diagnostic(`${seen.size} kinds of answers`)
  leave(...members)
}
