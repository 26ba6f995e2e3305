// Which requests the plugin takes as batches, and which it leaves to the app.
import assert from 'node:assert/strict'
import dns from 'node:dns'
import test from 'node:test'
import { MediaType } from '../../plugin/index.ts'
import { batchRequest, buildApp, event, listen, request, sendBatch } from './support.ts'

test('only POST / with exactly the batch type is a batch', async (t) => {
  const app = await buildApp(t)
  app.addContentTypeParser(/^application\/vnd\.framegate\.batch/, async () => 'parsed')
  app.post('/', async () => 'mine')
  app.post('/other', async () => 'mine')
  app.put('/', async () => 'mine')
  const port = await listen(app)
  const others = [
    { ...batchRequest, path: '/other' },
    { ...batchRequest, path: '/?a=1' },
    { ...batchRequest, method: 'PUT' },
    { path: '/', headers: { 'content-type': `${MediaType.batch}; charset=utf-8` } },
    { path: '/', headers: { 'content-type': 'text/plain' } },
  ]
  for (const options of others) assert.equal((await request(port, options, '[]')).body.toString(), 'mine')
  assert.equal((await request(port, batchRequest, '[]')).headers['content-type'], 'application/x-ndjson')
})

test('hooks guard the events of a batch, not the batch', async (t) => {
  const app = await buildApp(t)
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization === undefined) return reply.code(401).send('who')
  })
  app.ws('/ws/x', { message: async () => 'in' })
  const port = await listen(app)
  const headersOf = (id: string, more = {}) => event('message', '/ws/x', 'hi', { 'ce-id': id, ...more }).headers
  const lines = await sendBatch(port, [
    { path: '/ws/x', headers: headersOf('a'), body: 'hi' },
    { path: '/ws/x', headers: headersOf('b', { authorization: 'me' }), body: 'hi' },
  ])
  assert.deepEqual([lines.get('a')?.status, lines.get('b')?.status], [401, 200])
})

test('listening on localhost, the server that Fastify adds for its second address takes batches too', async (t) => {
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }))
  t.mock.method(dns, 'lookup', (host: string, _options: object, done: (error: null, found: object[]) => void) => {
    done(null, host === 'localhost' ? addresses : [{ address: host, family: 4 }])
  })
  const app = await buildApp(t)
  app.ws('/ws/x', { message: async () => 'hi' })
  const port = await listen(app, 'localhost')
  t.mock.restoreAll()
  assert.equal(app.addresses().length, 2)
  for (const { address: host } of addresses) {
    assert.equal((await request(port, { ...batchRequest, host }, '[]')).status, 200, host)
  }
})
