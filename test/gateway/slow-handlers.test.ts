// Events that take long, beside events that do not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { gate, startApp } from '../support/app.ts'
import { type Client, open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'

async function openMany(url: string, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => open(url)))
}

for (const batch of [true, false]) {
  const name = `batches ${batch ? 'on' : 'off'}`

  test(`200 sockets whose events are slow: the handler has all of them at the same time: ${name}`, async (t) => {
    const gateway = await startGateway(t, { handler: false, env: { MAX_CONNECTIONS_PER_IP: 'off' } })
    let all = gate()
    let present = 0
    await startApp(t, gateway.handlerSocket, {
      batch,
      routes: (app) =>
        app.ws('/ws/slow', {
          message: async (request) => {
            present += 1
            await all.opened
            return request.body
          },
        }),
    })
    const clients = await openMany(`${gateway.ws}/ws/slow`, 200)
    for (let round = 0; round < 2; round++) {
      all = gate()
      present = 0
      const answers = clients.map((client, i) => client.ask(`${round} ${i}`))
      // One that waited for the answer to another would not come. A lane opens in 5 ms, if others are busy.
      await until('the handler has all events', () => present === clients.length, 10 * clients.length * 5)
      all.open()
      assert.deepEqual(
        await Promise.all(answers),
        clients.map((_, i) => `${round} ${i}`),
      )
    }
    await Promise.all(clients.map((client) => client.close()))
  })

  test(`5 % of events that take 1 s do not hold up the others: ${name}`, async (t) => {
    const gateway = await startGateway(t, { handler: false, env: { MAX_CONNECTIONS_PER_IP: 'off' } })
    await startApp(t, gateway.handlerSocket, {
      batch,
      routes: (app) =>
        app.ws('/ws/mixed', {
          message: async (request) => {
            if (request.body === 'slow') await pause(1000)
            return request.body
          },
        }),
    })
    const clients = await openMany(`${gateway.ws}/ws/mixed`, 100)
    // A paced load: sockets take turns, so that latency is what is measured and not the processor.
    const measure = async (slowShare: number): Promise<number> => {
      const times: number[] = []
      const pending: Array<Promise<unknown>> = []
      let turn = 0
      const idle = [...clients]
      const end = performance.now() + 600
      while (performance.now() < end) {
        for (let i = 0; i < 5 && idle.length > 0; i++) {
          const client = idle.shift()!
          const slow = slowShare > 0 && turn++ % Math.round(1 / slowShare) === 0
          const began = performance.now()
          pending.push(
            client.ask(slow ? 'slow' : 'fast').then(() => {
              if (!slow) times.push(performance.now() - began)
              idle.push(client)
            }),
          )
        }
        await pause(5)
      }
      await Promise.all(pending)
      times.sort((a, b) => a - b)
      return times[Math.floor(times.length * 0.99)]!
    }
    await measure(0)
    // In turns, and the best of each: what holds events up does so each time, and a machine that is busy now and then.
    const without: number[] = []
    const withSlow: number[] = []
    for (let i = 0; i < 4; i++) {
      without.push(await measure(0))
      withSlow.push(await measure(0.05))
    }
    const [best, bestWithSlow] = [Math.min(...without), Math.min(...withSlow)]
    assert.ok(
      bestWithSlow < 5 * best,
      `p99 of the others: ${bestWithSlow.toFixed(1)} ms, without slow ones ${best.toFixed(1)} ms`,
    )
    await Promise.all(clients.map((client) => client.close()))
  })
}

test('a slow event delays only its own socket, and results of a batch come as they finish', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const others = gate()
  await startApp(t, gateway.handlerSocket, {
    routes: (app) =>
      app.ws('/ws/mixed', {
        message: async (request) => {
          if (request.body === 'slow') await others.opened
          return request.body
        },
      }),
  })
  const clients = await openMany(`${gateway.ws}/ws/mixed`, 40)
  const answers = clients.map((client, i) => client.ask(i % 2 ? 'fast' : 'slow'))
  assert.deepEqual(await Promise.all(answers.filter((_, i) => i % 2)), Array(20).fill('fast'))
  others.open()
  assert.deepEqual(await Promise.all(answers.filter((_, i) => i % 2 === 0)), Array(20).fill('slow'))
  await Promise.all(clients.map((client) => client.close()))
})
