/** Many answers that stream at once, and first frames that wait for nothing. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { gate, startApp } from '../support/app.ts'
import { type Client, open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

const COUNT = 500

async function openMany(url: string, count: number): Promise<Client[]> {
  const clients: Client[] = []
  while (clients.length < count) clients.push(...(await Promise.all(Array.from({ length: 50 }, () => open(url)))))
  return clients
}

test('500 sockets stream at once, and 500 others are answered meanwhile', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off' } })
  const streams: ServerResponse[] = []
  await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (String(event.body) !== 'stream') return echo(event, response, request)
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).write('0\n')
    streams.push(response)
  })
  const [streaming, echoing] = [
    await openMany(`${gateway.ws}/ws/a`, COUNT),
    await openMany(`${gateway.ws}/ws/b`, COUNT),
  ]
  for (const client of streaming) client.socket.send('stream')
  for (const client of streaming) assert.equal(await client.next(), '0')
  assert.equal((await samples(gateway)).streams, COUNT)
  for (let round = 1; round <= 5; round++) {
    for (const response of streams) response.write(`${round}\n`)
    const answers = await Promise.all(echoing.map((client, i) => client.ask(`${round} ${i}`)))
    assert.deepEqual(
      answers,
      echoing.map((_, i) => `${round} ${i}`),
    )
    for (const client of streaming) assert.equal(await client.next(), `${round}`)
  }
  for (const response of streams) response.end()
  await until('all have ended', async () => (await samples(gateway)).streams === 0)
  for (const client of [...streaming, ...echoing]) client.socket.terminate()
})

test('the first frame comes while the handler makes the next one, also of an event that came in a batch', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  let next = gate()
  await startApp(t, gateway.handlerSocket, {
    routes: (app) => {
      app.ws('/ws/mixed', {
        message: (request) => (request.body === 'plain' ? 'plain' : twoFrames()),
      })
    },
  })
  async function* twoFrames(): AsyncGenerator<string> {
    yield 'first'
    await next.opened
    yield 'second'
  }
  const clients = await openMany(`${gateway.ws}/ws/mixed`, 50)
  const streaming = clients.filter((_, i) => i % 2 === 0)
  const inBatches = async (): Promise<number> => {
    const all = await samples(gateway)
    return all.request_events_count! - all['request_events_bucket{le="1"}']!
  }
  const before = await inBatches()
  do {
    next = gate()
    for (const [i, client] of clients.entries()) client.socket.send(i % 2 ? 'plain' : 'stream')
    for (const client of streaming) assert.equal(await client.next(), 'first')
    next.open()
    for (const client of streaming) assert.equal(await client.next(), 'second')
    for (const [i, client] of clients.entries()) if (i % 2) assert.equal(await client.next(), 'plain')
  } while ((await inBatches()) === before)
  for (const client of clients) client.socket.terminate()
})
