// How many sockets an address and a worker may have.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

test('MAX_CONNECTIONS_PER_IP: the sixth gets 429 while five are open, and is welcome when one has closed', async (t) => {
  const gateway = await startGateway(t, { env: { MAX_CONNECTIONS_PER_IP: '5' } })
  const five = await Promise.all(Array.from({ length: 5 }, () => open(`${gateway.ws}/ws/echo`)))
  for (let i = 0; i < 2; i++) {
    const sixth = rawHandshake(gateway.port, '/ws/echo')
    const { status, headers } = await sixth.response()
    assert.equal(status, 429)
    assert.ok(Number(headers['retry-after']) > 0)
    assert.match(headers['content-type']!, /^application\/json/)
    assert.equal(JSON.parse(await sixth.body()).statusCode, 429)
  }
  const named = (): string[] =>
    gateway
      .log()
      .split('\n')
      .filter((line) => line.includes('MAX_CONNECTIONS_PER_IP'))
  const lines = await until('the log names it', () => named().length > 0 && named())
  assert.match(lines[0]!, /127\.0\.0\.1 .*MAX_CONNECTIONS_PER_IP.*TRUSTED_PROXIES/)
  assert.ok(lines.length <= 2, 'an address is named once by each worker')
  const other = await open(`${gateway.ws}/ws/echo`, { localAddress: '127.0.1.7' })
  assert.equal(await other.ask('another address'), 'another address')
  assert.equal((await fetch(gateway.url)).status, 200, 'the site is not counted')
  await five[0]!.close()
  const sixth = await until('a place is free', () => open(`${gateway.ws}/ws/echo`).catch(() => undefined))
  assert.equal(await sixth.ask('welcome'), 'welcome')
  await Promise.all([...five, other, sixth].map((client) => client.close()))
})

test('MAX_CONNECTIONS_PER_IP=off counts nothing', async (t) => {
  const gateway = await startGateway(t, { env: { MAX_CONNECTIONS_PER_IP: 'off' } })
  const clients = await Promise.all(Array.from({ length: 150 }, () => open(`${gateway.ws}/ws/echo`)))
  await Promise.all(clients.map((client) => client.close()))
})

test('a worker that is full says so, and goes on answering those it has', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1', WORKER_CONNECTIONS: '128', HANDLER_CONCURRENCY: '4' } })
  const clients = await Promise.all(Array.from({ length: 8 }, () => open(`${gateway.ws}/ws/echo`)))
  while (clients.length < 64) clients.push(await open(`${gateway.ws}/ws/echo`))
  const next = rawHandshake(gateway.port, '/ws/echo')
  assert.equal((await next.response()).status, 503)
  await until('the log says so', () => /raise WORKER_CONNECTIONS or WORKERS/.test(gateway.log()))
  for (const client of clients) assert.equal(await client.ask('still here'), 'still here')
  await Promise.all(clients.map((client) => client.close()))
})
