// A replaced handler passes requests on to its successor, and never lets an event be processed twice.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { forwardRequests } from '../../handler/forward.ts'
import { request } from '../plugin/support.ts'

const EVENT = { path: '/ws/echo?a=1', headers: { 'ce-type': 'framegate.message', 'content-type': 'text/plain' } }

/** A server that forwards, and the port of it; `successor` answers in its place, or nobody listens. */
async function replaced(t: TestContext, successor?: RequestListener): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'handler.sock')
  if (successor) {
    const server = createServer(successor).listen(path)
    await once(server, 'listening')
    t.after(() => server.close())
  }
  const old = createServer((_, response) => response.end('old')).listen(0, '127.0.0.1')
  await once(old, 'listening')
  t.after(() => old.close())
  forwardRequests(old, path)
  return (old.address() as AddressInfo).port
}

test('the successor answers, byte for byte, and the connection ends', async (t) => {
  const port = await replaced(t, async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    outgoing.writeHead(201, { 'ws-state': 'kept', 'content-type': incoming.headers['content-type'] })
    outgoing.end(`${incoming.method} ${incoming.url} ${Buffer.concat(chunks)}`)
  })
  const body = 'ä'.repeat(500_000)
  const answer = await request(port, EVENT, body)
  assert.equal(answer.status, 201)
  assert.equal(answer.headers['ws-state'], 'kept')
  assert.equal(answer.headers.connection, 'close')
  assert.equal(answer.body.toString(), `POST /ws/echo?a=1 ${body}`)
})

test('without a successor the event may be sent again', async (t) => {
  const answer = await request(await replaced(t), EVENT, 'hello')
  assert.equal(answer.status, 503)
  assert.equal(answer.headers['retry-after'], '0')
})

test('a successor that ends over what it has read: nobody says that the event may be sent again', async (t) => {
  const port = await replaced(t, async (incoming) => {
    incoming.resume()
    await once(incoming, 'end')
    incoming.socket.destroy()
  })
  await assert.rejects(request(port, EVENT, 'hello'), { code: 'ECONNRESET' })
})
