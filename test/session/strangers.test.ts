// Who comes back with something that is not its own gets a new socket, and never somebody else's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rawHandshake } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'
import { comeBack, cutOff, isWell, pushTo, startStage } from './support.ts'

const PATH = '/ws/room?x=1'
const OWN = { Cookie: 'id=ada', Authorization: 'Bearer ada', Origin: 'http://127.0.0.1' }
const ENV = { ALLOWED_ORIGINS: '*' }

/** A second client with the key of the first. */
function copyOf(client: SessionClient, path = client.path): SessionClient {
  const copy = new SessionClient(client.port, path, client.options)
  Object.assign(copy, { token: client.token, received: client.received })
  return copy
}

for (const [what, headers, path] of [
  ['another cookie', { ...OWN, Cookie: 'id=bob' }, PATH],
  ['no cookie', { ...OWN, Cookie: '' }, PATH],
  ['another authorization', { ...OWN, Authorization: 'Bearer bob' }, PATH],
  ['another origin', { ...OWN, Origin: 'http://example.com' }, PATH],
  ['another path', OWN, '/ws/hall?x=1'],
  ['another query', OWN, '/ws/room?x=2'],
] as const) {
  test(`a token with ${what} opens a new socket, and its owner still comes back`, async (t) => {
    const stage = await startStage(t, { env: ENV })
    const owner = await stage.enter(PATH, { headers: OWN })
    const id = await cutOff(stage, owner, PATH)
    assert.equal(await pushTo(stage, id, 'for Ada'), 200)
    const thief = copyOf(owner, path)
    await thief.dial({ headers })
    t.after(() => thief.cut())
    assert.deepEqual([thief.first.resumed, thief.first.for, thief.first.received], [false, owner.token, 0])
    assert.ok(await isWell(thief, 'me'))
    assert.equal(stage.events('open').length, 2)
    await owner.dial()
    assert.deepEqual([owner.first.resumed, await owner.next()], [true, 'for Ada'])
    assert.ok(await isWell(thief, 'still here'))
    assert.equal(stage.events('close').length, 0)
  })
}

test('a token that nobody has, and one that is no longer good, open a new socket', async (t) => {
  const stage = await startStage(t)
  const owner = await stage.enter(PATH)
  assert.ok(await isWell(owner, 'one'))
  const old = owner.token
  owner.cut()
  await owner.dial()
  assert.ok(await isWell(owner, 'two'), 'so it has the next token')
  for (const token of [old, 'x'.repeat(32)]) {
    const thief = new SessionClient(stage.gateway.port, PATH)
    Object.assign(thief, { token, received: 2 })
    await thief.dial()
    assert.deepEqual([thief.first.resumed, thief.first.for], [false, token])
    thief.cut()
  }
  assert.ok(await isWell(owner, 'three'), 'and its transport was not taken away')
})

test('a token is good until the client has shown that it has the next one', async (t) => {
  const stage = await startStage(t)
  const owner = await stage.enter(PATH)
  assert.ok(await isWell(owner, 'one'))
  for (let i = 0; i < 10; i += 1) {
    const again = copyOf(owner)
    await again.dial() // its session frame never arrives
    assert.equal(again.first.resumed, true)
    again.cut()
  }
  await owner.dial()
  assert.ok(owner.first.resumed && (await isWell(owner, 'two')))
  assert.equal(stage.events('open').length, 1)
})

test('a count that is too high, or below what is kept, opens a new socket; below, the old one ends', async (t) => {
  const stage = await startStage(t, { env: { SESSION_BYTES: '1k' } })
  const owner = await stage.enter(PATH)
  const id = stage.idOf(PATH)
  assert.ok(await isWell(owner, 'one'))
  for (const received of [2, 1e14]) {
    const liar = copyOf(owner)
    liar.received = received
    await liar.dial()
    assert.equal(liar.first.resumed, false)
    liar.cut()
  }
  await owner.dial()
  assert.equal(owner.first.resumed, true, 'the truth still counts')
  for (let i = 0; i < 4; i += 1) owner.send('x'.repeat(400))
  await until('all are answered', () => stage.events('message').length === 5)
  owner.cut()
  await owner.dial()
  assert.equal(owner.first.resumed, false, 'it needs frames that were let go')
  const close = await stage.handler.seen('close', ({ headers }) => headers['ce-connectionid'] === id)
  assert.equal(close.headers['ce-closecode'], '1006')
  assert.match(decodeURIComponent(String(close.headers['ce-closereason'])), /lacks messages/)
})

test('a value of ws-session that is none is refused', async (t) => {
  const stage = await startStage(t)
  for (const value of [
    '',
    'new',
    'new.',
    'new.short',
    `new.${'x'.repeat(65)}`,
    `${'x'.repeat(32)}.-1`,
    'a.1',
    '..',
    '%00.1',
  ]) {
    const raw = rawHandshake(stage.gateway.port, `/ws/room?ws-session=${value}`)
    assert.equal((await raw.response()).status, 400, value)
    raw.socket.destroy()
  }
  assert.equal(stage.handler.events.length, 0)
})

test('a token that is used twice at the same time: one of them has the socket', async (t) => {
  const stage = await startStage(t)
  const owner = await stage.enter(PATH)
  assert.ok(await isWell(owner, 'one'))
  const [token, received] = [owner.token, owner.received]
  for (let round = 0; round < 10; round += 1) {
    const copies = [1, 2].map(() => copyOf(owner))
    await Promise.all(copies.map(comeBack)) // one that comes while the other one is served may get 503
    const resumed = copies.filter((copy) => copy.first.resumed)
    assert.ok(resumed.length >= 1, 'somebody has it')
    for (const copy of copies) copy.raw?.socket.destroy()
    Object.assign(owner, { token: resumed.at(-1)!.token, received })
    await comeBack(owner)
    if (!owner.first.resumed) {
      Object.assign(owner, { token: resumed[0]!.token, received })
      await comeBack(owner)
    }
    assert.ok(owner.first.resumed, `round ${round}`)
  }
  assert.ok(token !== owner.token && (await isWell(owner, 'two')))
  const first = owner.raw
  await owner.dial()
  await first.end()
  assert.ok(await isWell(owner, 'the later one has taken over'))
})
