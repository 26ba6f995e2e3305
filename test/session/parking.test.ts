// Sessions through stops, starts and reloads that go wrong or come at a bad moment.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'
import { children, type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, type Reply, startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack as dialAgain } from './support.ts'

const SEED = Number(process.env.SEED ?? randomInt(1_000_000))

type Scene = { gateway: Gateway; handler: ProbeHandler; clients: SessionClient[]; ids: string[] }

/** So many clients with a session, each with its id. */
async function begin(t: TestContext, count: number, keep = 60, env: Record<string, string> = {}): Promise<Scene> {
  const accept: Reply = (event, response) => {
    if (event.type !== 'framegate.open') return void response.writeHead(204).end()
    const headers = { 'ws-session': String(keep), 'ws-subscribe': 'news', 'content-type': 'text/plain' }
    response.writeHead(200, headers).end(event.headers['ce-connectionid'])
  }
  const gateway = await startGateway(t, {
    handler: false,
    expect: [KILLED],
    env: { MAX_CONNECTIONS_PER_IP: 'off', ...env },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, accept)
  const clients = await Promise.all(
    Array.from({ length: count }, () => new SessionClient(gateway.port, '/ws/a').dial()),
  )
  const ids = await Promise.all(clients.map((client) => client.next()))
  return { gateway, handler, clients, ids }
}

function closedIds(handler: ProbeHandler): string[] {
  return handler.events
    .filter(({ type }) => type === 'framegate.close')
    .map(({ headers }) => String(headers['ce-connectionid']))
}

async function leave({ gateway, clients }: Scene): Promise<void> {
  for (const client of clients) client.cut()
  await until('all are away', async () => {
    const { connections } = (await control(gateway, 'GET', '/connections?limit=1000')).json
    return connections.every((each: any) => each.session.away !== undefined)
  })
}

/** All dial; how many have got their sessions back. */
async function comeBack({ clients }: Scene): Promise<boolean[]> {
  return Promise.all(clients.map(async (client) => (await dialAgain(client)).first.resumed))
}

function parked(gateway: Gateway): string[] {
  const folder = `${gateway.run}/journal`
  return readdirSync(folder)
    .filter((name) => name.startsWith('parked-'))
    .map((name) => `${folder}/${name}`)
}

for (const round of [0, 1, 2]) {
  test(`a gateway is killed while it stops: a session goes on or has a close event; seed ${SEED} + ${round}`, async (t) => {
    const random = new Random(SEED + round)
    const scene = await begin(t, 400, 60, { STOP_SECONDS: '0.2' })
    const { gateway, handler, ids } = scene
    await leave(scene)
    const workers = gateway.workers()
    process.kill(gateway.pid, 'SIGQUIT')
    await pause(random.int(0, 120))
    if (existsSync(`/proc/${gateway.pid}`)) await gateway.kill()
    await until('all have ended', () => !workers.some((pid) => existsSync(`/proc/${pid}`)))
    await gateway.startAgain()
    const resumed = await comeBack(scene)
    t.diagnostic(`${resumed.filter(Boolean).length} of ${ids.length} go on`)
    const owed = ids.filter((_, i) => !resumed[i]).sort()
    // A worker looks for journals every 10 s.
    await until('the others have close events', () => closedIds(handler).length >= owed.length, 30_000)
    assert.deepEqual(closedIds(handler).sort(), owed)
    await pause(500) // no other close event
    assert.deepEqual(closedIds(handler).sort(), owed)
  })
}

test('a session whose time is over during the stop gets its close event after the start', async (t) => {
  const scene = await begin(t, 10, 4)
  const { gateway, handler, ids } = scene
  await leave(scene)
  assert.equal(await gateway.quit(), 0)
  assert.deepEqual(closedIds(handler), [])
  await pause(4000)
  await gateway.startAgain()
  await until('all have close events', () => closedIds(handler).length === ids.length)
  assert.deepEqual(closedIds(handler).sort(), ids.sort())
  assert.deepEqual(
    await comeBack(scene),
    ids.map(() => false),
  )
  assert.deepEqual(parked(gateway), [])
})

test('sessions go on after two stops in a row, with all that waits for them', async (t) => {
  const scene = await begin(t, 20)
  const { gateway, handler, clients } = scene
  await leave(scene)
  for (const text of ['one', 'two', 'three']) {
    await until('all are there', async () => (await control(gateway, 'GET', '/topics/news')).json.count === 20)
    assert.equal((await control(gateway, 'POST', '/topics/news', text)).json.delivered, 20)
    if (text === 'three') break
    assert.equal(await gateway.quit(), 0)
    await gateway.startAgain()
  }
  assert.ok((await comeBack(scene)).every(Boolean))
  for (const client of clients) {
    let text = ''
    for (const expected of ['one', 'two', 'three']) {
      text = await client.next()
      assert.equal(text, expected)
    }
  }
  assert.deepEqual(closedIds(handler), [])
})

test('a stop and a start keep more sessions than MAX_DETACHED: their clients have not left by themselves', async (t) => {
  const scene = await begin(t, 20, 60, { MAX_DETACHED: '2', DETACHED_BYTES: '1k' })
  const { gateway, handler, clients } = scene
  const closes = clients.map((client) => client.raw.closeFrame())
  assert.equal(await gateway.quit(), 0)
  assert.deepEqual(new Set((await Promise.all(closes)).map(({ code }) => code)), new Set([1012]))
  await gateway.startAgain()
  await until('all are there', async () => (await control(gateway, 'GET', '/status')).json.sessions.away === 20)
  assert.equal((await control(gateway, 'POST', '/topics/news', 'x'.repeat(900))).json.delivered, 20)
  assert.ok((await comeBack(scene)).every(Boolean))
  assert.deepEqual(closedIds(handler), [])
})

test('a file of sessions that is cut short costs those behind the cut', async (t) => {
  const scene = await begin(t, 20, 60, { WORKERS: '1' })
  const { gateway } = scene
  await leave(scene)
  assert.equal(await gateway.quit(), 0)
  const [file] = parked(gateway) as [string]
  truncateSync(file, Math.floor(statSync(file).size / 2) - 20) // not between two sessions, if they are equal
  await gateway.startAgain()
  const resumed = await comeBack(scene)
  const count = resumed.filter(Boolean).length // parcels differ by some bytes
  assert.ok(count >= 8 && count <= 11, `${resumed}`)
  await until('the log shows it', () => /is cut short/.test(gateway.log()))
})

for (const drain of ['0', '1']) {
  test(`old workers end when their sessions are in new ones; DRAIN_SECONDS is ${drain}`, async (t) => {
    const scene = await begin(t, 20, 60, { DRAIN_SECONDS: drain })
    const { gateway, handler, clients } = scene
    const before = gateway.workers()
    const closes = drain === '1' && clients.map((client) => client.raw.closeFrame())
    await gateway.reload()
    if (closes) assert.deepEqual(new Set((await Promise.all(closes)).map(({ code }) => code)), new Set([1012]))
    await until('the old workers have ended', async () => {
      for (const client of clients) client.cut()
      assert.ok((await comeBack(scene)).every(Boolean)) // perhaps to an old worker that still listens
      return !children(gateway.pid).some((pid) => before.includes(pid))
    })
    assert.equal((await control(gateway, 'POST', '/topics/news', 'hi')).json.delivered, 20)
    for (const client of clients) assert.equal(await client.next(), 'hi')
    assert.deepEqual(closedIds(handler), [])
  })
}
