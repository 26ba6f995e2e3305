/** `secret` in framegate/events: the same signatures, behind Express, in a Web Request, and read by hand. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import express, { type RequestHandler, Router } from 'express'
import { readEvent, SignatureError, toNodeHandler, toWebHandler } from '../../../plugin/events/index.ts'
import { OTHER_SECRET, SECRET, type Signed, sign } from '../../support/signatures.ts'
import { request } from '../support.ts'

const MESSAGE: Signed = {
  method: 'POST',
  url: '/ws/chat/a%2Fb?x=1',
  headers: { 'ce-type': 'framegate.message', 'ce-id': 'c1/7', 'content-type': 'application/json' },
  body: '{ "a": "ü" }',
}
const OPEN: Signed = { ...MESSAGE, headers: { 'ce-type': 'framegate.open', 'ce-id': 'c1/0' }, body: '' }

const handler = toNodeHandler((event) => (event.type === 'message' ? event.frame : event.type), { secret: SECRET })

async function startExpress(t: TestContext, ...parsers: RequestHandler[]) {
  const router = Router()
  router.post('/chat/:room', handler as unknown as RequestHandler)
  const app = express().use(...(parsers.length > 0 ? parsers : [(_a: any, _b: any, next: any) => next()]), router)
  const root = express().use('/ws', app)
  root.use(((error: Error, _request: any, response: any, _next: any) => response.status(500).end(error.message)) as any)
  const server = http.createServer(root).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return async ({ method, url, headers, body }: Signed, signatures: Record<string, string>) => {
    const answer = await request(port, { method, path: url, headers: { ...headers, ...signatures } as {} }, body)
    return [answer.status, String(answer.body)] as const
  }
}

test('Express: in a router that changes the URL, with a body that is still to be read or a Buffer', async (t) => {
  for (const parsers of [[], [express.raw({ type: () => true })], [express.text({ type: () => true })]]) {
    const send = await startExpress(t, ...parsers)
    assert.deepEqual(await send(MESSAGE, sign(SECRET, MESSAGE)), [200, MESSAGE.body])
    assert.deepEqual(await send(OPEN, sign(SECRET, OPEN)), [200, 'open'])
    for (const [event, signatures] of [
      [{ ...MESSAGE, body: '{}' }, sign(SECRET, MESSAGE)],
      [{ ...OPEN, body: 'x' }, sign(SECRET, OPEN)],
      [{ ...MESSAGE, url: '/ws/chat/c' }, sign(SECRET, MESSAGE)],
      [MESSAGE, sign(OTHER_SECRET, MESSAGE)],
      [MESSAGE, sign(SECRET, MESSAGE, { secondsAgo: 301 })],
      [MESSAGE, {}],
    ] as const)
      assert.equal((await send(event, signatures))[0], 401)
  }
})

test('Express: a body that was parsed cannot be verified, which is an error and never passes', async (t) => {
  const send = await startExpress(t, express.json())
  assert.deepEqual(await send(OPEN, sign(SECRET, OPEN)), [200, 'open'])
  const [status, text] = await send(MESSAGE, sign(SECRET, MESSAGE))
  assert.equal(status, 500)
  assert.match(text, /^the signature of a body that was parsed cannot be verified: read the event before/)
})

test('a Web Request', async () => {
  const POST = toWebHandler((event) => (event.type === 'message' ? event.frame : undefined), { secret: SECRET })
  const send = ({ method, url, headers, body }: Signed, signatures: Record<string, string>) =>
    POST(
      new Request(`http://handler${url}`, {
        method,
        headers: { ...headers, ...signatures } as {},
        body: body as string,
      }),
    )
  const answer = await send(MESSAGE, sign(SECRET, MESSAGE))
  assert.deepEqual([answer.status, await answer.text()], [200, MESSAGE.body])
  const refused = await send({ ...MESSAGE, body: '{}' }, sign(SECRET, MESSAGE))
  assert.equal(refused.status, 401)
  assert.deepEqual(await refused.json(), {
    statusCode: 401,
    error: 'Unauthorized',
    message: 'the signature of the event is wrong',
  })
})

test('readEvent: with the URL that the gateway has sent, where a framework has changed it', async () => {
  const { method, headers, body } = MESSAGE
  const read = (options: object) =>
    readEvent(
      new Request('http://handler/rewritten', {
        method,
        headers: { ...headers, ...sign(SECRET, MESSAGE) } as {},
        body: body as string,
      }),
      { secret: SECRET, ...options },
    )
  await assert.rejects(read({}), SignatureError)
  const event = await read({ url: MESSAGE.url })
  assert.equal(event.type === 'message' && event.frame, body)
  await assert.rejects(read({ url: MESSAGE.url, body: { a: 'ü' } }), TypeError)
})

test('a secret that is missing is an error when the handler is made', () => {
  for (const make of [toNodeHandler, toWebHandler] as ReadonlyArray<(run: () => void, options: object) => unknown>) {
    assert.throws(() => make(() => {}, { secret: undefined }), TypeError)
    assert.throws(() => make(() => {}, { secret: 'whsec_short' }), /whsec_ and 24 to 64 bytes in base64$/)
  }
})
