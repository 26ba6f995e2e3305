// What sockets cost whose clients are away, and that nothing is left of them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const ROUND = 100
const ROUNDS = 50
const KIB = 1024

/** Memory of the one worker that is its own, in bytes. */
function memory(gateway: Gateway): number {
  const [pid] = gateway.workers()
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIB
}

async function leave(gateway: Gateway): Promise<void> {
  const clients = Array.from({ length: ROUND }, () => new SessionClient(gateway.port, '/ws/a').dial())
  for (const client of await Promise.all(clients)) client.cut()
}

async function away(gateway: Gateway): Promise<number> {
  return (await samples(gateway)).sessions_away!
}

/** Ends all sockets. */
async function endAll(gateway: Gateway): Promise<void> {
  for (;;) {
    const { connections } = (await control(gateway, 'GET', '/connections?limit=1000')).json
    if (connections.length === 0) return
    for (const { id } of connections) await control(gateway, 'DELETE', `/connections/${id}`)
  }
}

test('5,000 clients that are away cost at most 2.25 KB each in the worker, and nothing when they have ended', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', MAX_CONNECTIONS_PER_IP: 'off', MAX_DETACHED: '100000' },
  })
  await startProbeHandler(
    t,
    gateway.handlerSocket,
    (event, response) =>
      void response.writeHead(204, event.type === 'framegate.open' ? { 'ws-session': '600' } : {}).end(),
  )
  for (let i = 0; i < 10; i++) await leave(gateway)
  await endAll(gateway)
  const before = memory(gateway)
  for (let i = 0; i < ROUNDS; i++) await leave(gateway)
  await until('all are away', async () => (await away(gateway)) === ROUND * ROUNDS)
  const each = (memory(gateway) - before) / (ROUND * ROUNDS)
  t.diagnostic(`${each.toFixed(0)} bytes each`)
  assert.ok(each <= 2.25 * KIB, `${each} bytes each`)
  await endAll(gateway)
  // The heap stays as large as it was, and the next ones use it.
  const afterwards = memory(gateway)
  for (let i = 0; i < ROUNDS; i++) await leave(gateway)
  await endAll(gateway)
  const grown = memory(gateway) - afterwards
  t.diagnostic(`${(grown / KIB).toFixed(0)} KiB more after the next`)
  assert.ok(grown < 3 * 1024 * KIB, `grown by ${grown} bytes`)
})
