// Timers: once per period over all workers, also through a reload and a killed worker.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startApp } from '../support/app.ts'
import { open } from '../support/client.ts'
import { configure, type Gateway, type GatewayOptions, KILLED, startGateway } from '../support/gateway.ts'
import { isOncePerSecond, type Tick, tickOf, watchClock } from '../support/timers.ts'
import { until } from '../support/wait.ts'

type Clockwork = { gateway: Gateway; ticks: Tick[]; stood: () => number }

/** A gateway of 4 workers with a timer of one second, and what its handler sees. */
async function start(t: TestContext, options: GatewayOptions = {}): Promise<Clockwork> {
  const gateway = await startGateway(t, {
    handler: false,
    ...options,
    env: { WORKERS: '4', TIMERS: '1s /ws/timers/tick', ...(options.env as Record<string, string>) },
  })
  const ticks: Tick[] = []
  await startApp(t, gateway.handlerSocket, {
    routes: (app) => {
      app.ws('/ws/timers/tick', {
        timer(request, reply) {
          ticks.push(tickOf(request))
          reply.publish('ticks', request.event.id).frame('nobody gets this').close(4000)
          return 'nor this'
        },
      })
      app.ws('/ws/ticks', { open: (_request, reply) => void reply.subscribe('ticks') })
    },
  })
  return { gateway, ticks, stood: watchClock(t) }
}

test('a timer is one event a period over 4 workers, in time, and its answer publishes', async (t) => {
  const { gateway, ticks, stood } = await start(t)
  const client = await open(`${gateway.ws}/ws/ticks`)
  ticks.length = 0
  await until('five of them', () => ticks.length >= 5, 15_000)
  const seen = ticks.slice(0, 5)
  isOncePerSecond(seen, stood())
  const frames = [String(await client.next())]
  while (frames[0]! < seen[0]!.id) frames[0] = String(await client.next()) // of one that came while the socket opened
  while (frames.length < seen.length) frames.push(String(await client.next()))
  assert.deepEqual(
    frames,
    seen.map(({ id }) => id),
  )
  for (const tick of seen) {
    assert.equal(tick.id, `/ws/timers/tick@${new Date(tick.due).toISOString()}`)
    assert.equal(tick.headers['ce-source'], '/framegate/framegate/timers')
    assert.equal(tick.headers['ce-type'], 'framegate.timer')
    assert.deepEqual(
      Object.keys(tick.headers).filter((name) => name.startsWith('ce-')),
      ['ce-specversion', 'ce-source', 'ce-type', 'ce-id', 'ce-time'],
    )
    assert.ok(tick.at >= tick.due, 'never early')
  }
  const best = Math.min(...seen.map(({ at, due }) => at - due))
  t.diagnostic(`${best} ms late at best`)
  assert.ok(best < 50, `${best} ms late at best`)
  await client.close()
})

test('nobody else can make the request, and no socket opens there', async (t) => {
  const { gateway, ticks } = await start(t, { env: { TIMERS: '24h /ws/timers/tick' } })
  const before = ticks.length
  const headers = { 'ce-type': 'framegate.timer', 'ce-id': 'x' }
  const answer = await fetch(`${gateway.url}/ws/timers/tick`, { method: 'POST', headers })
  assert.equal(answer.status, 426)
  await assert.rejects(open(`${gateway.ws}/ws/timers/tick`, { headers }), /404/)
  assert.equal(ticks.length, before)
})

test('a timer is one event a period through reloads, and the last reload changes it', async (t) => {
  const { gateway, ticks, stood } = await start(t)
  const held = await open(`${gateway.ws}/ws/ticks`) // keeps an old worker alive
  ticks.length = 0
  for (let i = 0; i < 4; i++) {
    const count = ticks.length
    await gateway.reload()
    await until('the next one', () => ticks.length > count)
  }
  await until('eight of them', () => ticks.length >= 8, 15_000)
  isOncePerSecond(ticks, stood())
  configure(gateway.run, { PORT: String(gateway.port), WORKERS: '4', TIMERS: '1s /ws/timers/other' })
  await gateway.reload()
  await until('the old one has ended', () => Date.now() - ticks.at(-1)!.at > 2500)
  await held.close()
})

test('a timer keeps no old worker alive after a reload, and holds up no stop', async (t) => {
  const { gateway } = await start(t, { env: { TIMERS: '24h /ws/timers/tick' } })
  const before = gateway.workers()
  await gateway.reload()
  await until('the old workers are gone', () => !gateway.workers().some((pid) => before.includes(pid)))
  const asked = performance.now()
  assert.equal(await gateway.quit(), 0)
  assert.ok(performance.now() - asked < 20_000)
})

test('a timer is one event a period while workers are killed', async (t) => {
  const { gateway, ticks, stood } = await start(t, { expect: [KILLED] })
  ticks.length = 0
  // A worker that is killed between its claim and its event costs that event. So each is killed just after an event.
  await until('one', () => ticks.length >= 1)
  for (let i = 0; i < 4; i++) {
    const count = ticks.length
    process.kill(gateway.workers()[i % 4]!, 'SIGKILL')
    await until('two more', () => ticks.length >= count + 2)
  }
  isOncePerSecond(ticks, stood())
})

test('what no handler could take is not made up, and an error is a line in the log', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { TIMERS: '1s /ws/timers/tick', HANDLER_WAIT: '500ms' },
  })
  const stood = watchClock(t)
  await until('one was given up', () => /the timer event has no answer/.test(gateway.log()))
  const ticks: Tick[] = []
  const began = Date.now()
  await startApp(t, gateway.handlerSocket, {
    routes: (app) =>
      app.ws('/ws/timers/tick', {
        timer(request) {
          ticks.push(tickOf(request))
          throw new Error('no')
        },
      }),
  })
  await until('three came', () => ticks.length >= 3, 15_000)
  isOncePerSecond(ticks, stood())
  assert.ok(ticks[0]!.due > began - 1000 - stood(), 'none that was due longer ago than HANDLER_WAIT')
  assert.match(gateway.log(), /the handler answered 500 to a timer/)
})
