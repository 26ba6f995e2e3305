/** Generators as handlers outside Fastify: with a Node response, and with a Web `Response`. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type EventHandler, toNodeHandler, toWebHandler } from '../../../plugin/events/index.ts'

const HEADERS = { 'ce-type': 'framegate.message', 'ce-id': 'c1/1', 'content-type': 'text/plain' }

async function begin(t: TestContext, handler: EventHandler): Promise<http.IncomingMessage> {
  const server = http.createServer(toNodeHandler(handler)).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const outgoing = http.request({ port, method: 'POST', headers: HEADERS })
  outgoing.end('question')
  return ((await once(outgoing, 'response')) as [http.IncomingMessage])[0]
}

test('a generator streams to a Node response, with its effects in the head', async (t) => {
  const response = await begin(t, async function* (event, reply) {
    reply.subscribe('news')
    yield `${event.type} `
    yield 'two'
  })
  assert.deepEqual([response.headers['ws-stream'], response.headers['ws-subscribe']], ['1', 'news'])
  let body = ''
  for await (const chunk of response) body += chunk
  assert.equal(body, 'message two')
})

test('when the client leaves, reply.signal ends a wait for the next frame', async (t) => {
  let ended = (): void => {}
  const end = new Promise<void>((resolve) => {
    ended = resolve
  })
  const response = await begin(t, async function* (_event, reply) {
    yield 'x'
    await delay(60_000, undefined, { signal: reply.signal }).catch(ended)
  })
  await once(response, 'data')
  response.destroy()
  await end
})

test('a generator streams to a Web Response; an error before its first frame is an answer', async () => {
  const handler = toWebHandler(async function* (event, reply) {
    if (event.type === 'message' && event.frame === 'fail') throw Object.assign(new Error('no'), { statusCode: 422 })
    if (event.type === 'message' && event.frame === 'publish') reply.publish('news', 'x')
    yield { token: 'a' }
    assert.equal(reply.signal.aborted, false)
    yield { token: 'b' }
  })
  const ask = (body: string): Promise<Response> =>
    handler(new Request('http://handler/', { method: 'POST', headers: HEADERS, body }))
  const response = await ask('x')
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
  assert.equal(await response.text(), '{"token":"a"}\n{"token":"b"}\n')
  assert.equal((await ask('fail')).status, 422)
  await assert.rejects(ask('publish'), /takes no publish/)
})
