// How a handler stops: what it holds is answered, what arrives is turned away.
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import test from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { batchRequest, buildApp, event, listen, request } from '../plugin/support.ts'

/** A socket whose messages are answered when `release` is called; `arrived` counts them. */
async function slowApp(t: test.TestContext) {
  const app = await buildApp(t)
  const { promise, resolve: release } = Promise.withResolvers<string>()
  const arrivals = new EventEmitter()
  let arrived = 0
  app.ws('/ws/slow', {
    message: () => {
      arrived++
      arrivals.emit('arrived')
      return promise
    },
  })
  const whenArrived = async (count: number): Promise<void> => {
    while (arrived < count) await once(arrivals, 'arrived')
  }
  return { app, release, whenArrived, port: await listen(app) }
}

const single = { path: '/ws/slow', headers: event('message', '/ws/slow', 'x').headers }
const batch = JSON.stringify([{ path: '/ws/slow', headers: event('message', '/ws/slow', 'x').headers, body: 'x' }])

test('a server that closes answers what it holds, turns away what arrives, and ends', {
  timeout: 10_000,
}, async (t) => {
  const { app, release, whenArrived, port } = await slowApp(t)
  const agent = new http.Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const held = [request(port, { ...single, agent }, 'x'), request(port, { ...batchRequest, agent }, batch)]
  await whenArrived(2)
  const closed = app.close()
  const late = [await request(port, single, 'x'), await request(port, batchRequest, batch)]
  for (const { status, headers, body } of late) {
    assert.deepEqual([status, headers['retry-after'], headers.connection], [503, '0', 'close'])
    assert.deepEqual(JSON.parse(body.toString()), {
      statusCode: 503,
      error: 'Service Unavailable',
      message: 'the handler is closing',
    })
  }
  release('held')
  const [alone, inBatch] = await Promise.all(held)
  assert.deepEqual([alone!.status, alone!.body.toString()], [200, 'held'])
  assert.equal(JSON.parse(inBatch!.body.toString()).body, 'held')
  for (const { headers } of [alone!, inBatch!]) assert.equal(headers.connection, 'close')
  await closed
  await assert.rejects(request(port, single, 'x'), { code: 'ECONNREFUSED' })
})

test('connections that are kept alive do not hold the end up', { timeout: 10_000 }, async (t) => {
  const { app, release, whenArrived, port } = await slowApp(t)
  app.server.keepAliveTimeout = 60_000
  release('soon')
  const agent = new http.Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  await request(port, { ...single, agent }, 'x')
  await whenArrived(1)
  await app.close()
})

test('a batch whose answer has begun when the server closes is finished, and its connection closed', {
  timeout: 10_000,
}, async (t) => {
  const app = await buildApp(t)
  app.server.keepAliveTimeout = 60_000
  const { promise, resolve: release } = Promise.withResolvers<string>()
  app.ws('/ws/slow', { message: () => promise })
  app.ws('/ws/fast', { message: async () => 'fast' })
  const port = await listen(app)
  const agent = new http.Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const outgoing = http.request({ host: '127.0.0.1', port, method: 'POST', agent, ...batchRequest })
  outgoing.end(
    JSON.stringify(
      ['/ws/slow', '/ws/fast'].map((path) => ({
        path,
        headers: event('message', path, 'x', { 'ce-id': path }).headers,
        body: 'x',
      })),
    ),
  )
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
  const parts = response[Symbol.asyncIterator]()
  assert.equal(JSON.parse(String((await parts.next()).value)).body, 'fast')
  const closed = app.close()
  while (app.server.listening) await setImmediate()
  release('slow')
  assert.equal(JSON.parse(String((await parts.next()).value)).body, 'slow')
  assert.equal((await parts.next()).done, true)
  await closed
})

test('what is no event is left to Fastify while it closes', { timeout: 10_000 }, async (t) => {
  const { app, release, whenArrived, port } = await slowApp(t)
  const held = request(port, single, 'x')
  await whenArrived(1)
  const closed = app.close()
  const answer = await request(port, { path: '/', method: 'GET' })
  assert.deepEqual([answer.status, answer.headers['retry-after']], [503, undefined])
  release('held')
  await Promise.all([held, closed])
})
