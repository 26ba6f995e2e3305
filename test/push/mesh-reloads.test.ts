// Pushes reach everybody, whatever reloads and signals do to the workers.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { children, type Gateway, KILLED } from '../support/gateway.ts'
import { join, leave, pushGateway } from '../support/push-gateway.ts'
import { hold, isHeld } from '../support/standstill.ts'
import { type Counts, control, subscribers, topicGateway } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { workersOf } from '../support/workers.ts'

/** Reloads, and stops the first new worker at the moment in which it is there. */
async function reloadAndHold(gateway: Gateway): Promise<number> {
  const before = new Set(children(gateway.pid))
  const reloading = gateway.reload() // a new worker may have joined before that is noticed
  while (true) {
    const fresh = children(gateway.pid).find((pid) => !before.has(pid))
    if (fresh) {
      process.kill(fresh, 'SIGSTOP')
      await reloading
      await until('it stands still', () => isHeld(fresh))
      return fresh
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A push that had to wait for a link for more than 5 s would be 504. */
async function pushReaches(gateway: Gateway, count: number): Promise<void> {
  const { status, json } = await control(gateway, 'POST', '/topics/news', 'x')
  assert.deepEqual([status, json], [200, { delivered: count, dropped: 0 }])
}

test('a broadcast every few milliseconds through reloads: each that is answered reached everybody', async (t) => {
  const gateway = await topicGateway(t)
  const all = await subscribers(gateway, 50)
  let isOver = false
  const counts: number[] = []
  const pushing = (async () => {
    while (!isOver) {
      const { status, json } = await control(gateway, 'POST', '/broadcast', 'x')
      if (status === 200) counts.push((json as Counts).delivered)
      await pause(5)
    }
  })()
  for (let i = 0; i < 8; i++) {
    await gateway.reload()
    await until('old workers without sockets have ended', () => gateway.workers().length <= 8, 20_000)
  }
  isOver = true
  await pushing
  assert.deepEqual([...new Set(counts)], [50], `${counts.length} pushes`)
  all.forEach(({ client }) => client.socket.terminate())
})

test('many reloads with sockets that stay: all workers are linked again within moments', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '2' } })
  const all = await subscribers(gateway, 10)
  for (let i = 0; i < 15; i++) {
    await gateway.reload()
    await until('the new workers serve', async () => {
      const { json } = await control(gateway, 'GET', '/status')
      const serving: Array<{ configuration: number }> = json.workers.filter(
        (worker: { is_leaving: boolean }) => !worker.is_leaving,
      )
      return serving.every(({ configuration }) => configuration === i + 2)
    })
    all.push(...(await subscribers(gateway, 6)))
  }
  await until('nobody misses a link', async () => (await control(gateway, 'GET', '/status')).json.missing_links === 0)
  const { size } = workersOf(all)
  assert.ok(size >= 16, `sockets of ${size} workers: each configuration has one at least`)
  assert.ok(gateway.workers().length >= size, `${gateway.workers().length} workers`)
  await pushReaches(gateway, all.length)
  all.forEach(({ client }) => client.socket.terminate())
})

async function heldReload(t: TestContext, ms: number): Promise<void> {
  const gateway = await topicGateway(t, { env: { WORKERS: '1' } })
  const old = await subscribers(gateway, 10)
  const fresh = await reloadAndHold(gateway)
  await pause(ms)
  assert.ok(isHeld(fresh))
  process.kill(fresh, 'SIGCONT')
  const all = [...old, ...(await subscribers(gateway, 5))]
  await pushReaches(gateway, all.length)
  assert.ok(all.every(({ client }) => client.socket.readyState === 1))
  await gateway.quit()
  for (const { client } of all) assert.equal((await client.closed).code, 1001)
}

test('a worker that joins when the old one has begun to leave is linked with it', (t) => heldReload(t, 300))

test('a new worker that takes 7 s does not make a reload a stop', (t) => heldReload(t, 7000))

test('the successor of a killed worker is linked with those from before a reload', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '1' }, expect: [KILLED] })
  const old = await subscribers(gateway, 10)
  const [first] = gateway.workers()
  await gateway.reload()
  const serving = await until('the old worker leaves', async () => {
    const { json } = await control(gateway, 'GET', '/status')
    return (
      json.missing_links === 0 &&
      json.workers.length === 2 &&
      json.workers.find((worker: { is_leaving: boolean; pid: number }) => !worker.is_leaving && worker.pid !== first)
    )
  })
  process.kill(serving.pid, 'SIGKILL')
  await until('its successor is there', () => gateway.workers().some((pid) => pid !== first && pid !== serving.pid))
  const all = [...old, ...(await subscribers(gateway, 5))]
  await pushReaches(gateway, all.length)
  all.forEach(({ client }) => client.socket.terminate())
})

test('two workers that are both shutting down reach each other over a third', async (t) => {
  const gateway = await pushGateway(
    t,
    { WORKERS: '1' },
    {
      routes: (app) =>
        app.ws('/ws/speak', { message: (request, reply) => void reply.publish('news', String(request.body)) }),
    },
  )
  const a = await join(gateway, 'news')
  const speaker = await open(`${gateway.ws}/ws/speak`)
  const [first] = gateway.workers()
  await hold(first!) // it meets nobody of the next generation
  await gateway.reload()
  const b = await join(gateway, 'news')
  await gateway.reload()
  await until('a third', () => gateway.workers().length === 3)
  process.kill(first!, 'SIGCONT')
  await until('all know one another', async () => {
    const { json } = await control(gateway, 'GET', '/status')
    const leaving = json.workers.filter((worker: { is_leaving: boolean }) => worker.is_leaving)
    return json.workers.length === 3 && leaving.length === 2 && json.missing_links === 0
  })
  const c = await join(gateway, 'news')
  speaker.socket.send('to all')
  for (const { client } of [a, b, c]) assert.equal(await client.next(), 'to all')
  leave(a, b, c, { client: speaker, id: '' })
})

test('two workers of four killed at once, again and again: nothing fails in the others', async (t) => {
  const gateway = await topicGateway(t, { expect: [KILLED, /Broken pipe/, /reset by peer/] })
  for (let i = 0; i < 6; i++) {
    for (const pid of gateway.workers().slice(0, 2)) process.kill(pid, 'SIGKILL')
    await until('four workers are linked', async () => {
      const { json } = await control(gateway, 'GET', '/status').catch(() => ({ json: undefined }))
      return json?.workers.length === 4 && json.missing_links === 0
    })
  }
  const all = await subscribers(gateway, 20)
  await pushReaches(gateway, 20)
  all.forEach(({ client }) => client.socket.terminate())
})
