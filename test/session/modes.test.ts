// `ws-session: …;notify` and `…;check`: what the handler learns of a client that is away, and what it decides.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rawHandshake } from '../support/raw-socket.ts'
import { cutOff, isWell, startStage } from './support.ts'

const PATH = '/ws/room'
const ADA = { Cookie: 'id=ada' }
const RENEWED = { Cookie: 'id=ada2' }

test('notify: the handler gets detach and resume, in their order with messages', async (t) => {
  const stage = await startStage(t, { allow: '60;notify' })
  const client = await stage.enter(PATH)
  for (const word of ['one', 'two']) {
    assert.ok(await isWell(client, word))
    await cutOff(stage, client, PATH)
    await client.dial()
    assert.equal(client.first.resumed, true)
  }
  assert.ok(await isWell(client, 'three'))
  assert.deepEqual(
    stage.handler.events.map(({ type }) => type.replace('framegate.', '')),
    ['open', 'message', 'detach', 'resume', 'message', 'detach', 'resume', 'message'],
  )
  const numbers = stage.handler.events.map(({ headers }) => Number(headers['ce-eventnumber']))
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7])
})

test('notify: an answer to resume cannot refuse, but its effects count', async (t) => {
  const stage = await startStage(t, {
    allow: '60;notify',
    reply: (_event, response) => void response.writeHead(403, { 'ws-state': 'seen' }).end(),
  })
  const client = await stage.enter(PATH)
  await cutOff(stage, client, PATH)
  await client.dial()
  assert.ok(client.first.resumed && (await isWell(client, 'one')))
  assert.equal(stage.events('message')[0]!.headers['ce-state'], 'seen')
})

test('without a mode the handler gets neither', async (t) => {
  const stage = await startStage(t)
  const client = await stage.enter(PATH)
  await cutOff(stage, client, PATH)
  await client.dial()
  assert.ok(await isWell(client, 'one'))
  assert.deepEqual(
    stage.handler.events.map(({ type }) => type),
    ['framegate.open', 'framegate.message'],
  )
})

test('check: the handler sees the headers of the new handshake, and they replace the old ones', async (t) => {
  const stage = await startStage(t, { allow: '60;check' })
  const client = await stage.enter(PATH, { headers: ADA })
  await cutOff(stage, client, PATH)
  await client.dial({ headers: RENEWED })
  assert.equal(client.first.resumed, true)
  assert.equal(stage.events('resume')[0]!.headers.cookie, RENEWED.Cookie)
  assert.ok(await isWell(client, 'one'))
  assert.equal(stage.events('message')[0]!.headers.cookie, RENEWED.Cookie)
  assert.deepEqual([stage.events('open').length, stage.events('detach').length], [1, 0])
})

test('check: an answer of 400 or above is the answer of the client, and ends the session', async (t) => {
  const stage = await startStage(t, {
    allow: '60;check',
    reply: (event, response) =>
      void response.writeHead(event.type === 'framegate.resume' ? 401 : 204, { 'x-why': 'expired' }).end(),
  })
  const client = await stage.enter(PATH, { headers: ADA })
  await cutOff(stage, client, PATH)
  const raw = rawHandshake(stage.gateway.port, client.target, { headers: RENEWED })
  t.after(() => raw.socket.destroy())
  const { status, headers } = await raw.response()
  assert.deepEqual([status, headers['x-why']], [401, 'expired'])
  await stage.handler.seen('close')
  await client.dial()
  assert.equal(client.first.resumed, false)
  assert.equal(stage.events('close').length, 1)
})

test('check: a client whose transport is still open is checked, too, and keeps it when it is refused', async (t) => {
  const stage = await startStage(t, { allow: '60;check' })
  const client = await stage.enter(PATH, { headers: ADA })
  const old = client.raw
  await client.dial()
  assert.equal(client.first.resumed, true)
  await old.end()
  assert.equal(stage.events('resume').length, 1)
  assert.ok(await isWell(client, 'one'))
})
