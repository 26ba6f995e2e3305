// The TypeScript client against a real gateway, and against what is none.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
import { join as joinPath } from 'node:path'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import websocket, { Gateway, GatewayError, GoneError, SlowReaderError, UnreachableError } from '../../plugin/index.ts'
import { folder } from '../cli/framegate.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { controlSocket, join, joinMany, leave, pushGateway } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'

function withEnvironment(t: TestContext, env: Record<string, string | undefined>): void {
  const before = { ...process.env }
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  t.after(() => {
    process.env = before
  })
}

async function listen(t: TestContext, server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => {
    server.close()
  })
}

test('every method', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4', MAX_TOPICS: '2' })
  const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
  t.after(() => api.end())
  const [ann, bob] = [await join(gateway, 'news?user=ann'), await join(gateway, 'news?user=b%2Fob')]
  const one = { delivered: 1, dropped: 0 }
  const two = { delivered: 2, dropped: 0 }

  for (const [data, frame] of [
    ['täxt', 'täxt'],
    [Buffer.from([1, 255]), Buffer.from([1, 255])],
    [new Uint8Array([7]), Buffer.from([7])],
    [new Uint8Array([9]).buffer, Buffer.from([9])],
    [{ a: [1] }, '{"a":[1]}'],
    [null, 'null'],
    [7, '7'],
    ['', ''],
    ['a\ud800', 'a\ufffd'],
  ] as const) {
    assert.deepEqual(await api.send(ann.id, data), one)
    assert.deepEqual(await ann.client.next(), frame)
  }
  assert.deepEqual(await api.publish('news', 'a', { except: ann.id }), one)
  assert.deepEqual(await api.user('b/ob', 'b'), one)
  assert.deepEqual(await api.broadcast('c'), two)
  for (const frame of ['a', 'b', 'c']) assert.equal(await bob.client.next(), frame)
  assert.equal(await ann.client.next(), 'c')

  for (let i = 0; i < 3; i++) assert.deepEqual(await api.publish('news', 'once', { idempotencyKey: 'key' }), two)
  for (const { client } of [ann, bob]) assert.equal(await client.next(), 'once')
  await assert.rejects(api.publish('news', 'other', { idempotencyKey: 'key' }), {
    name: 'GatewayError',
    statusCode: 422,
  })

  const batch = await api.batch([
    { send: ann.id, data: 'x' },
    { publish: 'news', data: Buffer.from('y'), except: bob.id },
    { user: 'b/ob', data: { z: 1 } },
    { send: 'gone', data: '' },
    { broadcast: true, data: 'all', except: ann.id },
  ])
  assert.deepEqual([batch[0], batch[1], batch[2], batch[4]], [one, one, one, one])
  assert.ok(batch[3] instanceof GoneError)
  assert.deepEqual([await ann.client.next(), await ann.client.next()], ['x', Buffer.from('y')])
  assert.deepEqual([await bob.client.next(), await bob.client.next()], ['{"z":1}', 'all'])
  assert.deepEqual(await api.batch([]), [])

  await api.subscribe('räume/1', ann.id)
  assert.deepEqual(await api.topics(), [
    { topic: 'news', count: 2 },
    { topic: 'räume/1', count: 1 },
  ])
  await assert.rejects(api.subscribe('third', ann.id), {
    name: 'GatewayError',
    statusCode: 409,
    title: 'Conflict',
    detail: /MAX_TOPICS/,
  })
  const members = await api.topic('räume/1', { limit: 5 })
  assert.deepEqual([members.topic, members.count, members.connections.map(({ id }) => id)], ['räume/1', 1, [ann.id]])
  await api.unsubscribe('räume/1', ann.id)
  const facts = await api.connection(ann.id)
  assert.deepEqual([facts.id, facts.user, facts.topics], [ann.id, 'ann', ['news']])
  const page = await api.connections({ limit: 1 })
  assert.deepEqual([page.connections.length, page.count, page.cursor], [1, 2, page.connections[0]!.id])
  const { cluster, nodes } = await api.nodes()
  assert.deepEqual([cluster, nodes.length, nodes[0]!.is_own, nodes[0]!.connections], [null, 1, true, 2])
  const status = await api.status()
  assert.deepEqual([status.workers.length, status.connections, status.pushes.dropped], [4, 2, 0])

  await api.close(ann.id, 4000, 'böse')
  assert.deepEqual(await ann.client.closed, { code: 4000, reason: 'böse' })
  await api.close(bob.id)
  assert.deepEqual(await bob.client.closed, { code: 1000, reason: '' })
})

test('refusals are errors of their kind', async (t) => {
  const gateway = await pushGateway(t, { OUTBOX_BYTES: '64k', MAX_MESSAGE_BYTES: '64k' })
  const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
  for (const call of [
    () => api.send('gone', ''),
    () => api.connection('gone'),
    () => api.close('gone'),
    () => api.subscribe('a', 'gone'),
    () => api.unsubscribe('a', 'gone'),
  ]) {
    await assert.rejects(
      async () => await call(),
      (error) => {
        assert.ok(error instanceof GoneError && error instanceof GatewayError)
        assert.deepEqual([error.name, error.statusCode, error.title], ['GoneError', 410, 'Gone'])
        assert.equal(
          error.message,
          `${error.detail}; in open, send to the new socket with reply.frame(data) or reply.send(data)`,
        )
        assert.match(error.stack!, /gateway-client\.test\.ts/, 'it says who asked')
        return true
      },
    )
  }
  const slow = await join(gateway, 'news')
  slow.client.socket.pause()
  const refused = await until(
    'it refuses',
    () =>
      api.send(slow.id, 'x'.repeat(60_000)).then(
        () => undefined,
        (error) => error,
      ),
    30_000,
  )
  assert.ok(refused instanceof SlowReaderError)
  assert.equal(refused.statusCode, 429)
  await assert.rejects(api.broadcast('x'.repeat(65537)), { statusCode: 413, detail: /MAX_MESSAGE_BYTES/ })
  await assert.rejects(api.close(slow.id, 1001), { statusCode: 400, detail: /1000 or 3000/ })
  await assert.rejects(api.connections({ limit: 0 }), { statusCode: 400 })
  await assert.rejects(api.publish('x'.repeat(256), ''), { statusCode: 400 })
  await assert.rejects(api.send(slow.id, undefined as unknown as string), TypeError)
  for (const method of [() => api.send('', 'x'), () => api.publish('', 'x'), () => api.user('', 'x')])
    await assert.rejects(async () => method(), TypeError)
  leave(slow)
})

test('over TCP with a token', async (t) => {
  const port = await freePort()
  const token = 'a-token-of-some-length'
  const gateway = await pushGateway(t, { CONTROL_PORT: String(port), CONTROL_TOKEN: token })
  const url = `http://127.0.0.1:${port}`
  for (const member of await joinMany(gateway, 'news', 1)) {
    assert.deepEqual(await new Gateway({ url, token }).send(member.id, 'x'), { delivered: 1, dropped: 0 })
    leave(member)
  }
  for (const other of [undefined, `${token}x`]) {
    withEnvironment(t, { CONTROL_TOKEN: undefined })
    await assert.rejects(new Gateway({ url, token: other }).status(), {
      name: 'GatewayError',
      statusCode: 401,
      title: 'Unauthorized',
    })
  }
  withEnvironment(t, { CONTROL_URL: `${url}/`, CONTROL_TOKEN: token, CONTROL_SOCKET: '/nowhere' })
  assert.equal((await new Gateway().status()).workers.length, 2)
})

test('an error has a sentence about what cannot be reached', async (t) => {
  const here = folder(t)
  const socket = joinPath(here, 'control.sock')
  const unreachable = async (api: Gateway, detail: RegExp): Promise<void> => {
    await assert.rejects(api.publish('news', 'x'), (error) => {
      assert.ok(error instanceof UnreachableError && error instanceof GatewayError)
      assert.equal(error.statusCode, 503)
      assert.match(error.detail, detail)
      assert.doesNotMatch(error.detail, /secret/)
      assert.match(error.message, /^the gateway (cannot be reached|did not answer: it may or may not have .*)$/)
      return true
    })
  }
  await unreachable(
    new Gateway({ url: `unix:${socket}`, token: 'secret' }),
    /^there is no .*control\.sock: start the gateway, or .*CONTROL_SOCKET/,
  )
  const port = await freePort()
  await unreachable(
    new Gateway({ url: `http://127.0.0.1:${port}`, token: 'secret' }),
    new RegExp(`^nothing listens on http://127.0.0.1:${port}: .*CONTROL_PORT`),
  )
  await unreachable(new Gateway({ url: 'http://no-such-host.invalid:1' }), /no-such-host\.invalid:1/)

  await listen(
    t,
    createServer(() => {}),
    socket,
  )
  await unreachable(
    new Gateway({ url: `unix:${socket}`, token: 'secret', timeout: 300 }),
    /did not answer \(nothing came within 300 ms\)/,
  )
  const broken = joinPath(here, 'broken.sock')
  await listen(
    t,
    createServer((connection) => connection.once('data', () => connection.end())),
    broken,
  )
  await unreachable(new Gateway({ url: `unix:${broken}` }), /it may or may not have executed the request/)
  const site = joinPath(here, 'site.sock')
  await listen(
    t,
    createHttpServer((_request, response) => response.end('<html>')),
    site,
  )
  await unreachable(new Gateway({ url: `unix:${site}` }), /not the control API of framegate/)
  if (process.getuid!() !== 0) {
    mkdirSync(joinPath(here, 'closed'))
    chmodSync(joinPath(here, 'closed'), 0)
    await unreachable(new Gateway({ url: `unix:${here}/closed/control.sock` }), /^no permission to open/)
  }
  for (const url of [
    '',
    'unix:',
    'https://x:1',
    'http://user:secret@x',
    'http://x/private',
    'http://x?a',
    'x',
    'http://[',
  ]) {
    assert.throws(
      () => new Gateway({ url }),
      (error: Error) => error instanceof TypeError && !/secret|private/.test(error.message),
      url,
    )
  }
})

test('a connection that broke is used no more: what is certain to be unread, or may be repeated, is sent again', async (t) => {
  const path = joinPath(folder(t), 'control.sock')
  const seen: string[] = []
  const server = createHttpServer((request, response) => {
    seen.push(`${request.method} ${request.headers['idempotency-key'] ?? '-'}`)
    if (seen.length === 1) request.socket.destroy()
    else response.end('{"delivered":1,"dropped":0}')
  })
  await listen(t, server, path)
  const api = new Gateway({ url: `unix:${path}` })
  const cases: Array<[() => Promise<unknown>, string[]]> = [
    [() => api.publish('a', 'x', { idempotencyKey: 'k' }), ['POST k', 'POST k']],
    [() => api.status(), ['GET -', 'GET -']],
  ]
  for (const [call, expected] of cases) {
    seen.length = 0
    await call()
    assert.deepEqual(seen, expected)
  }
  seen.length = 0
  await assert.rejects(api.publish('a', 'x'), UnreachableError)
  assert.deepEqual(seen, ['POST -'], 'whether it was applied is not known: it is not sent again')
})

test('a worker that goes away is asked no more, and what part of a cluster has may not be sent again', async (t) => {
  const path = joinPath(folder(t), 'control.sock')
  const answers: Array<[status: number, retryAfter: string]> = []
  const connections = new Set<unknown>()
  let asked = 0
  const server = createHttpServer((request, response) => {
    asked++
    connections.add(request.socket)
    const [status, retryAfter] = answers.shift() ?? [200, '']
    // As nginx does when it shuts down, it ends the connection without having announced that.
    if (status !== 200) response.on('finish', () => request.socket.destroy())
    response.writeHead(status, { 'retry-after': retryAfter, 'content-length': 2 }).end('{}')
  })
  await listen(t, server, path)
  const api = new Gateway({ url: `unix:${path}` })
  t.after(() => api.end())
  const push = async (...next: Array<[number, string]>): Promise<number> => {
    answers.push(...next)
    asked = 0
    await api.publish('a', 'x')
    return asked
  }
  assert.deepEqual([await push(), await push([503, '0']), await push([503, '0'], [503, '0'])], [1, 2, 3])
  assert.equal(connections.size, 5, 'each repeat has a connection of its own')
  await assert.rejects(push([503, '1']), { statusCode: 503 })
  assert.equal(asked, 1)
  await assert.rejects(push([503, '0'], [503, '0'], [503, '0']), { statusCode: 503 })
})

test('pushes go on through reloads, none lost and none twice', async (t) => {
  const gateway = await pushGateway(t)
  const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
  const { client, id } = await join(gateway, 'news')
  let reloads = 0
  let pushed = 0
  const reloading = (async () => {
    for (; reloads < 3; reloads++) await gateway.reload()
  })()
  while (reloads < 3 || pushed < 500)
    assert.deepEqual(await api.send(id, String(pushed++)), { delivered: 1, dropped: 0 })
  await reloading
  for (let i = 0; i < pushed; i++) assert.equal(await client.next(), String(i))
  leave({ client, id })
})

test('what a route throws because the gateway is away does not show the machine, but the log does', async (t) => {
  const lines: string[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(line) } } })
  t.after(() => app.close())
  await app.register(websocket, { gateway: { url: 'unix:/srv/secret/control.sock' } })
  app.get('/news', () => app.gateway.publish('news', 'x'))
  app.ws('/ws/news', { message: () => app.gateway.publish('news', 'x') })
  for (const request of [
    { method: 'GET' as const, url: '/news' },
    { method: 'POST' as const, url: '/ws/news', headers: { 'ce-type': 'framegate.message' }, payload: 'x' },
  ]) {
    const { statusCode, body } = await app.inject(request)
    assert.equal(statusCode, 503)
    assert.deepEqual(JSON.parse(body), {
      statusCode: 503,
      error: 'Service Unavailable',
      message: 'the gateway cannot be reached',
    })
  }
  assert.equal(
    lines.filter((line) => line.includes('there is no /srv/secret/control.sock: start the gateway')).length,
    2,
  )
})

test('in open the own socket is not there yet, and the error says what to do', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const app = Fastify()
  t.after(() => app.close())
  await app.register(websocket, { gateway: { url: `unix:${controlSocket(gateway)}` } })
  app.ws('/ws/own', {
    async open(request, reply) {
      const error = await app.gateway.send(request.event!.connectionId, 'too early').catch((reason: Error) => reason)
      reply.frame(error instanceof GoneError ? error.message : 'no error')
    },
  })
  await app.listen({ path: gateway.handlerSocket })
  const client = await open(`${gateway.ws}/ws/own`)
  assert.match(
    String(await client.next()),
    /gone, or never was; in open, send to the new socket with reply\.frame\(data\)/,
  )
  await client.close()
})

test('app.gateway: from the options or the environment', async (t) => {
  const gateway = await pushGateway(t)
  const { client, id } = await join(gateway, 'news')
  withEnvironment(t, { CONTROL_SOCKET: controlSocket(gateway), CONTROL_URL: undefined })
  for (const options of [{}, { gateway: { url: `unix:${controlSocket(gateway)}` } }]) {
    const app = Fastify()
    await app.register(websocket, options)
    app.post('/orders/:id', async (request) => app.gateway.publish('news', request.body as object))
    app.get('/gone', async () => app.gateway.send('gone', ''))
    assert.deepEqual((await app.inject({ method: 'POST', url: '/orders/7', payload: { order: 7 } })).json(), {
      delivered: 1,
      dropped: 0,
    })
    assert.equal(await client.next(), '{"order":7}')
    assert.equal((await app.inject('/gone')).statusCode, 410)
    await app.close()
  }
  leave({ client, id })
})
