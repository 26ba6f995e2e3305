// How long, and how much, a gateway keeps for clients that are away.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { samples } from '../support/metrics.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { cutOff, isWell, pushTo, type Stage, startStage } from './support.ts'

const PATH = '/ws/room'

const present = async (stage: Stage): Promise<number> =>
  (await control(stage.gateway, 'GET', '/topics/room')).json.count

const codeOf = (stage: Stage, i = 0) => stage.events('close')[i]!.headers['ce-closecode']

/** Asks until the first close event: nobody may be gone before so many ms. Returns how long the slowest answer took. */
async function stays(stage: Stage, began: number, ms: number): Promise<number> {
  let slowest = 0
  for (let asked = performance.now(); stage.events('close').length === 0 && asked - began < 10 * ms; ) {
    const there = await present(stage)
    const now = performance.now()
    if (now - began < ms) assert.deepEqual([there, stage.events('close').length], [1, 0])
    slowest = Math.max(slowest, now - asked)
    asked = now
  }
  return slowest
}

test('its time runs out to the second: one close event, and its presence goes then and not before', async (t) => {
  const stage = await startStage(t, { allow: '3', headers: { 'ws-subscribe': 'room', 'ws-user': 'ada' } })
  const client = await stage.enter(PATH)
  await cutOff(stage, client, PATH)
  await client.dial()
  assert.equal(client.first.resumed, true, 'its time begins anew with each cut')
  const began = performance.now()
  const id = await cutOff(stage, client, PATH)
  assert.equal(await pushTo(stage, id, 'for nobody'), 200)
  const slowest = await stays(stage, began, 2990)
  const close = await stage.handler.seen('close')
  const seconds = (close.at - began) / 1000
  assert.ok(seconds >= 2.99 && seconds < 3.5 + slowest / 1000, `${seconds} s, and an answer took ${slowest} ms`)
  assert.equal(close.headers['ce-closecode'], '1006')
  assert.match(String(close.headers['ce-closereason']), /away/)
  assert.deepEqual([await present(stage), await pushTo(stage, id, 'late')], [0, 410])
  await client.dial()
  assert.equal(client.first.resumed, false)
  assert.equal(stage.events('close').length, 1)
})

test('pushes to a client that is away count as delivered while there is room; overflow ends its socket', async (t) => {
  const stage = await startStage(t, { env: { OUTBOX_BYTES: '4k' } })
  const client = await stage.enter(PATH)
  const id = await cutOff(stage, client, PATH)
  const statuses: number[] = []
  do statuses.push(await pushTo(stage, id, 'x'.repeat(1000)))
  while (statuses.at(-1) === 200 && statuses.length < 20)
  await stage.handler.seen('close')
  assert.deepEqual([...new Set(statuses.slice(0, 4)), statuses.at(-1), await pushTo(stage, id, 'x')], [200, 429, 410])
  assert.ok(statuses.length <= 7, statuses.join(' '))
  assert.equal(codeOf(stage), '1013')
  await client.dial()
  assert.equal(client.first.resumed, false)
})

test('MAX_DETACHED: the sockets whose clients have been away longest end', async (t) => {
  const stage = await startStage(t, { env: { MAX_DETACHED: '3', WORKERS: '1' } })
  const clients: SessionClient[] = []
  for (let i = 0; i < 5; i += 1) clients.push(await stage.enter(`/ws/${i}`))
  for (const client of clients) client.cut()
  await until('two have ended', () => stage.events('close').length === 2)
  assert.deepEqual([codeOf(stage, 0), codeOf(stage, 1)], ['1013', '1013'])
  const { sessions_away, sessions_max_away, sessions_overflowed_total } = await samples(stage.gateway)
  assert.deepEqual([sessions_away, sessions_max_away, sessions_overflowed_total], [3, 3, 2])
  const resumed = []
  for (const client of clients) resumed.push((await client.dial()).first.resumed)
  assert.equal(resumed.filter(Boolean).length, 3)
})

test('DETACHED_BYTES: too much for all of them ends the oldest', async (t) => {
  const stage = await startStage(t, { env: { DETACHED_BYTES: '10k', WORKERS: '1' } })
  const ids: string[] = []
  for (let i = 0; i < 3; i += 1) ids.push(await cutOff(stage, await stage.enter(`/ws/${i}`), `/ws/${i}`))
  for (let round = 0; round < 4; round += 1)
    for (const id of ids) if (stage.events('close').length === 0) await pushTo(stage, id, 'x'.repeat(1000))
  const close = await stage.handler.seen('close')
  assert.deepEqual([close.headers['ce-connectionid'], codeOf(stage)], [ids[0], '1013'])
  assert.equal(await pushTo(stage, ids[1]!, 'room again'), 200)
})

test('10,000 dials that detach at once stay within MAX_CONNECTIONS_PER_IP, MAX_DETACHED and DETACHED_BYTES', async (t) => {
  const env = { MAX_CONNECTIONS_PER_IP: '50', MAX_DETACHED: '100' }
  const stage = await startStage(t, { allow: '600', env }) // longer than the test takes
  const refused: number[] = []
  for (let i = 0; i < 100; i += 1) {
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const client = new SessionClient(stage.gateway.port, PATH)
        await client.dial().catch((error) => refused.push(Number(/got (\d+)/.exec(String(error))?.[1])))
        client.cut()
      }),
    )
    assert.ok((await control(stage.gateway, 'GET', '/connections?limit=1')).json.count <= 50)
  }
  assert.ok(refused.length > 9900 && refused.every((status) => status === 429), `${refused.length} refused`)
  const other = await stage.enter(PATH, { localAddress: '127.0.1.7' })
  assert.ok(await isWell(other, 'another address'))
})

test('a client at its limit, whose connection is half-open, comes back', async (t) => {
  const stage = await startStage(t, { env: { MAX_CONNECTIONS_PER_IP: '2' } })
  const client = await stage.enter(PATH)
  await stage.enter('/ws/other')
  const third = rawHandshake(stage.gateway.port, PATH)
  t.after(() => third.socket.destroy())
  assert.equal((await third.response()).status, 429)
  for (let i = 0; i < 5; i += 1) {
    const half = client.raw
    await client.dial()
    assert.equal(client.first.resumed, true)
    await half.end()
    assert.ok(await isWell(client, String(i)))
  }
  assert.equal(stage.events('open').length, 2)
})
