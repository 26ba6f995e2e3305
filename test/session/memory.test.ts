// What a session costs whose client is away.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { startStage } from './support.ts'

const SOCKETS = 5000
const MOST_BYTES = 2048

const memoryOf = (pid: number): number =>
  Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

test(`${SOCKETS} clients that are away cost at most 2 KB more each than those that are there, and leave nothing`, async (t) => {
  const stage = await startStage(t, { env: { WORKERS: '1', MAX_DETACHED: '20000' } })
  const [worker] = stage.gateway.workers()
  const enter = async (count: number): Promise<SessionClient[]> => {
    const all: SessionClient[] = []
    while (all.length < count)
      all.push(
        ...(await Promise.all(
          Array.from({ length: 50 }, () => new SessionClient(stage.gateway.port, '/ws/room').dial()),
        )),
      )
    return all
  }
  const count = async (): Promise<number> => (await control(stage.gateway, 'GET', '/connections?limit=1')).json.count
  const clients = await enter(SOCKETS)
  const there = memoryOf(worker!)
  for (const client of clients) client.cut()
  const id = stage.idOf('/ws/room')
  await until('all are away', async () => {
    const { json } = await control(stage.gateway, 'GET', `/connections/${id}`)
    return json.session?.away >= 1
  })
  const away = (memoryOf(worker!) - there) / SOCKETS
  t.diagnostic(`${away.toFixed(0)} bytes more each`)
  assert.ok(away <= MOST_BYTES, `${away} bytes`)
  assert.equal(await count(), SOCKETS)
  for (const client of clients) await client.dial()
  for (const client of clients) client.raw.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
  await until('all have ended', async () => (await count()) === 0, 20_000)
})
