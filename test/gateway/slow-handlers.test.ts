// Events that take long, beside events that do not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startApp } from '../support/app.ts'
import { type Client, open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'

async function openMany(url: string, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => open(url)))
}

for (const batch of [true, false]) {
  const name = `batches ${batch ? 'on' : 'off'}`

  test(`200 sockets whose every event takes 1 s are all answered within 1.5 s: ${name}`, async (t) => {
    const gateway = await startGateway(t, { handler: false, env: { MAX_CONNECTIONS_PER_IP: 'off' } })
    await startApp(t, gateway.handlerSocket, {
      batch,
      routes: (app) =>
        app.ws('/ws/slow', {
          message: async (request) => {
            await pause(1000)
            return request.body
          },
        }),
    })
    const clients = await openMany(`${gateway.ws}/ws/slow`, 200)
    for (let round = 0; round < 2; round++) {
      const began = performance.now()
      const times = await Promise.all(
        clients.map(async (client, i) => {
          assert.equal(await client.ask(`${round} ${i}`), `${round} ${i}`)
          return performance.now() - began
        }),
      )
      assert.ok(Math.max(...times) < 1500, `the slowest took ${Math.max(...times)} ms`)
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
      const end = performance.now() + 3000
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
    const without = await measure(0)
    const withSlow = await measure(0.05)
    assert.ok(
      withSlow < 5 * without,
      `p99 of the others: ${withSlow.toFixed(1)} ms, without slow ones ${without.toFixed(1)} ms`,
    )
    await Promise.all(clients.map((client) => client.close()))
  })
}

test('a slow event delays only its own socket, and results of a batch come as they finish', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  await startApp(t, gateway.handlerSocket, {
    routes: (app) =>
      app.ws('/ws/mixed', {
        message: async (request) => {
          await pause(Number(request.body))
          return request.body
        },
      }),
  })
  const clients = await openMany(`${gateway.ws}/ws/mixed`, 40)
  const order: string[] = []
  await Promise.all(clients.map(async (client, i) => order.push(String(await client.ask(i % 2 ? '0' : '800')))))
  assert.deepEqual(order.slice(0, 20), Array(20).fill('0'))
  await Promise.all(clients.map((client) => client.close()))
})
