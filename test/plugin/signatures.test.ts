/** The option `secret`: what the gateway has not signed does not reach the app. Signatures are made by the scheme's own library. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import websocket, { MediaType, type Secret } from '../../plugin/index.ts'
import { OTHER_SECRET, SECRET, type Signed, sign } from '../support/signatures.ts'
import { buildApp, listen, request } from './support.ts'

const MESSAGE: Signed = {
  method: 'POST',
  url: '/ws/chat/a%2Fb?x=1',
  headers: {
    'ce-type': 'framegate.message',
    'ce-id': 'c1/7',
    'ce-connectionid': 'c1',
    'ce-state': 'guest',
    'content-type': 'application/json',
  },
  body: '{"text":"hëllo"}',
}

const BATCH: Signed = {
  method: 'POST',
  url: '/',
  headers: { 'content-type': MediaType.batch },
  body: JSON.stringify([
    { path: MESSAGE.url, headers: MESSAGE.headers, body: MESSAGE.body },
    { path: MESSAGE.url, headers: { ...MESSAGE.headers, 'ce-id': 'c2/1' }, body: '"b"' },
  ]),
}

/** An app that notes which of its hooks and handlers run. */
async function start(t: Parameters<typeof buildApp>[0], secret: string | string[]) {
  const ran: string[] = []
  const app = await buildApp(t, { secret })
  app.addHook('onRequest', async () => void ran.push('hook'))
  app.addHook('preParsing', async () => void ran.push('parsing'))
  app.ws('/ws/chat/:room', {
    message: (request) => `${request.event.state} ${request.body}`,
    close: () => void ran.push('close'),
  })
  app.post('/page', async (request) => ({ page: request.body }))
  const port = await listen(app)
  const send = async ({ method, url, headers, body }: Signed, signatures: Record<string, string>) => {
    ran.length = 0
    const answer = await request(port, { method, path: url, headers: { ...headers, ...signatures } }, body)
    return { status: answer.status, text: String(answer.body) }
  }
  return { app, port, send, ran }
}

test('an event passes that was signed with the secret, or with one of two', async (t) => {
  for (const secret of [SECRET, [OTHER_SECRET, SECRET], `${OTHER_SECRET}, ${SECRET}`]) {
    const { send, ran } = await start(t, secret)
    assert.deepEqual(await send(MESSAGE, sign(SECRET, MESSAGE)), { status: 200, text: 'guest {"text":"hëllo"}' })
    assert.deepEqual(ran, ['hook', 'parsing'])
    const both = sign(SECRET, MESSAGE)
    for (const [name, value] of Object.entries(sign(OTHER_SECRET, MESSAGE)))
      if (name.endsWith('signature')) both[name] = `v1a,${value.slice(3)} ${value} ${both[name]}`
    assert.equal((await send(MESSAGE, both)).status, 200)
  }
})

test('what was altered is refused with 401, before anything of the app runs', async (t) => {
  const { send, ran } = await start(t, SECRET)
  const good = sign(SECRET, MESSAGE)
  const unsigned = (name: string) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name))
  const altered: Record<string, [Signed, Record<string, string>]> = {
    path: [{ ...MESSAGE, url: '/ws/chat/a/b?x=1' }, good],
    query: [{ ...MESSAGE, url: '/ws/chat/a%2Fb?x=2' }, good],
    header: [{ ...MESSAGE, headers: { ...MESSAGE.headers, 'ce-state': 'admin' } }, good],
    'added header': [{ ...MESSAGE, headers: { ...MESSAGE.headers, 'ce-user': 'root' } }, good],
    'content type': [{ ...MESSAGE, headers: { ...MESSAGE.headers, 'content-type': 'application/octet-stream' } }, good],
    'webhook-id': [MESSAGE, { ...good, 'webhook-id': 'c1/8' }],
    time: [MESSAGE, { ...good, 'webhook-timestamp': String(Number(good['webhook-timestamp']) + 1) }],
    secret: [MESSAGE, sign(OTHER_SECRET, MESSAGE)],
    'old time': [MESSAGE, sign(SECRET, MESSAGE, { secondsAgo: 301 })],
    'time to come': [MESSAGE, sign(SECRET, MESSAGE, { secondsAgo: -360 })],
    'nothing signed': [MESSAGE, {}],
    'signature of the body': [MESSAGE, { ...good, 'framegate-signature': good['webhook-signature']! }],
    'no signature of the context': [MESSAGE, unsigned('framegate-signature')],
    'other version': [MESSAGE, { ...good, 'framegate-signature': good['framegate-signature']!.replace('v1', 'v2') }],
    'cut signature': [MESSAGE, { ...good, 'framegate-signature': good['framegate-signature']!.slice(0, 20) }],
    'unknown path': [{ ...MESSAGE, url: '/ws/nowhere' }, good],
  }
  for (const [what, [event, signatures]] of Object.entries(altered)) {
    const { status, text } = await send(event, signatures)
    assert.deepEqual([status, ran], [401, []], what)
    assert.equal(JSON.parse(text).code, 'FRAMEGATE_SIGNATURE', what)
  }
})

test('other headers of an event that travels alone are not covered, as docs/signed-events.md warns', async (t) => {
  const { send } = await start(t, SECRET)
  const headers = { ...MESSAGE.headers, host: 'other', cookie: 'a=b', authorization: 'x', 'x-forwarded-for': '1.2.3.4' }
  assert.equal((await send({ ...MESSAGE, headers }, sign(SECRET, MESSAGE))).status, 200)
})

test('a body that was altered, removed or added is refused before it is parsed', async (t) => {
  const { send, ran } = await start(t, SECRET)
  const good = sign(SECRET, MESSAGE)
  for (const body of ['{"text":"bye"}', '', `${MESSAGE.body} `, Buffer.from([0, 255])]) {
    assert.equal((await send({ ...MESSAGE, body }, good)).status, 401)
    assert.deepEqual(ran, ['hook'])
  }
  assert.equal((await send(MESSAGE, { ...good, 'webhook-signature': good['framegate-signature']! })).status, 401)
  const close: Signed = { ...MESSAGE, headers: { 'ce-type': 'framegate.close', 'ce-id': 'c1/close' }, body: '' }
  assert.equal((await send({ ...close, body: 'x' }, sign(SECRET, close))).status, 401)
  assert.deepEqual(ran, ['hook'])
  assert.equal((await send(close, sign(SECRET, close))).status, 200)
  assert.deepEqual(ran, ['hook', 'parsing', 'close'])
})

test('a frame that is too large is refused as without signatures', async (t) => {
  const app = await buildApp(t, { secret: SECRET, bodyLimit: 100 })
  app.ws('/ws/a', { message: () => 'taken' })
  const port = await listen(app)
  const event = { ...MESSAGE, url: '/ws/a', body: 'x'.repeat(101) }
  const headers = { ...(event.headers as Record<string, string>), ...sign(SECRET, event) }
  assert.equal((await request(port, { method: 'POST', path: '/ws/a', headers }, event.body)).status, 413)
})

test('a batch is signed as a whole', async (t) => {
  const { send, ran } = await start(t, SECRET)
  const good = sign(SECRET, BATCH)
  const { status, text } = await send(BATCH, good)
  assert.equal(status, 200)
  assert.deepEqual(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ id, status, body }) => [id, status, body]),
    [
      ['c1/7', 200, 'guest {"text":"hëllo"}'],
      ['c2/1', 200, 'guest "b"'],
    ],
  )
  const forged = { ...BATCH, body: String(BATCH.body).replace('guest', 'admin') }
  for (const [batch, signatures] of [
    [BATCH, {}],
    [forged, good],
    [BATCH, sign(SECRET, BATCH, { secondsAgo: 301 })],
    [BATCH, sign(OTHER_SECRET, BATCH)],
  ] as const) {
    assert.equal((await send(batch, signatures)).status, 401)
    assert.deepEqual(ran, [])
  }
})

test('requests that are no events need no signature, also through inject', async (t) => {
  const { app, send } = await start(t, SECRET)
  const page: Signed = {
    method: 'POST',
    url: '/page',
    headers: { 'content-type': 'application/json' },
    body: '{"a":1}',
  }
  assert.deepEqual(await send(page, {}), { status: 200, text: '{"page":{"a":1}}' })
  const { url, headers, body } = MESSAGE
  const inject = (signatures: Record<string, string>) =>
    app.inject({ method: 'POST', url, headers: { ...headers, ...signatures } as {}, payload: body })
  assert.equal((await inject({})).statusCode, 401)
  assert.equal((await inject(sign(SECRET, MESSAGE))).body, 'guest {"text":"hëllo"}')
})

test('a secret that is missing or none is an error at the start, which does not show it', async () => {
  for (const secret of [undefined, '', 'whsec_', 'whsec_c2hvcnQ=', `${SECRET}!`, [], [SECRET, ''], null]) {
    const app = Fastify()
    await assert.rejects(async () => await app.register(websocket, { secret: secret as string }), {
      name: 'TypeError',
      message: 'secret must be the HANDLER_SECRET of the gateway: whsec_ and 24 to 64 bytes in base64',
    })
  }
})

test('parts of an app that register the plugin need the same secret: it is that of batches, too', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const part = (secret: Secret, path: string) =>
    app.register(async (scope) => {
      await scope.register(websocket, { secret })
      scope.ws(path, { message: ({ body }) => `part ${body}` })
    })
  await part([SECRET, OTHER_SECRET], '/ws/chat/:room')
  await part(`${OTHER_SECRET}, ${SECRET}`, '/ws/other')
  const port = await listen(app)
  const send = (signatures: Record<string, string>) =>
    request(port, { method: 'POST', path: '/', headers: { ...BATCH.headers, ...signatures } as {} }, BATCH.body)
  assert.match(String((await send(sign(SECRET, BATCH))).body), /part \\"b\\"/)
  assert.equal((await send({})).status, 401)
})

test('another secret in another part of the app is an error at the start, which does not show it', async (t) => {
  for (const [first, second] of [
    [SECRET, OTHER_SECRET],
    [SECRET, [SECRET, OTHER_SECRET]],
    [[SECRET, OTHER_SECRET], OTHER_SECRET],
  ] as const) {
    const app = Fastify()
    t.after(() => app.close())
    for (const secret of [first, second])
      app.register(async (scope) => void (await scope.register(websocket, { secret })))
    await assert.rejects(async () => await app.ready(), {
      name: 'TypeError',
      message:
        'secret must be the same wherever the app registers framegate: a batch has one signature for events of all its parts',
    })
  }
})
