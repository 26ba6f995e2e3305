// Readers that stop reading, among many that do not.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { frame, rawSocket } from '../support/raw-socket.ts'
import { type Counts, control, subscribers, topicGateway } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const KIB = 1024

function anonymous(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIB
}

test('100 readers that stopped among 1,000: the others get everything, the workers hold no more than the bound', async (t) => {
  // A reader that stopped answers no ping either, and must stay.
  const gateway = await topicGateway(t, { env: { OUTBOX_BYTES: '256k', IDLE_TIMEOUT: '10m' } })
  const quick = await subscribers(gateway, 900, 'news')
  const slow = await subscribers(gateway, 100, 'flood')
  for (const { id } of slow) assert.equal((await control(gateway, 'PUT', `/topics/news/connections/${id}`)).status, 204)
  slow.forEach(({ client }) => client.socket.pause())
  const memory = (): number => gateway.workers().reduce((sum, pid) => sum + anonymous(pid), 0)
  const before = memory()
  const flood = 'x'.repeat(64 * KIB)
  let taken = 0
  await until(
    'all 100 refuse',
    async () => {
      const { json } = await control(gateway, 'POST', '/topics/flood', flood)
      taken += (json as Counts).delivered
      return (json as Counts).dropped === 100
    },
    60_000,
  )
  // The room that is left is too small for 1 KiB now; a push of 2 KiB finds none.
  await until(
    'there is no room',
    async () => (await control(gateway, 'POST', '/topics/flood', 'x'.repeat(KIB))).json.dropped === 100,
  )
  const grown = memory() - before
  t.diagnostic(`the workers grew by ${Math.round(grown / KIB / KIB)} MiB while ${taken} frames of 64 KiB were taken`)
  assert.ok(grown < 100 * 256 * KIB + 32 * KIB * KIB, `grown by ${grown} bytes`)
  const began = performance.now()
  let refused = 0
  for (let i = 0; i < 20; i++) {
    const arrived = Promise.all(quick.map(({ client }) => client.next()))
    const news = `news ${i} `.padEnd(2 * KIB)
    const { json } = await control(gateway, 'POST', '/topics/news', news)
    // The kernel may still find room for some: it probes a closed window, and packs what waits (tcp_collapse).
    refused += (json as Counts).dropped
    assert.ok(json.delivered >= 900 && json.delivered + json.dropped === 1000, JSON.stringify(json))
    for (const message of await arrived) assert.equal(message, news)
  }
  t.diagnostic(`20 pushes to the other 900 took ${Math.round(performance.now() - began)} ms`)
  assert.ok(refused > 1900, `of 2,000 frames for readers that stopped ${refused} were refused`)
  await until(
    'one that stopped refuses a frame of its own',
    async () => (await control(gateway, 'POST', `/connections/${slow[0]!.id}`, flood)).status === 429,
  )
  slow.forEach(({ client }) => client.socket.resume())
  for (const { client } of slow) assert.equal(await client.next(), flood, 'what was taken arrives')
  await until(
    'they have read what was written in as long, and are welcome again',
    async () => (await control(gateway, 'POST', '/topics/flood', 'end')).json.delivered === 100,
    60_000,
  )
  ;[...quick, ...slow].forEach(({ client }) => client.socket.terminate())
})

test('set $ws_overflow close: who does not read is closed with 1013', async (t) => {
  const gateway = await topicGateway(t, {
    env: { OUTBOX_BYTES: '64k' },
    locations: 'location ^~ /ws/topic/strict { set $ws_overflow close; include socket.conf; }',
  })
  const [strict] = await subscribers(gateway, 1, 'strict')
  strict!.client.socket.pause()
  await until(
    'it refuses',
    async () => {
      const { json } = await control(gateway, 'POST', '/topics/strict', 'x'.repeat(64 * KIB))
      return (json as Counts).delivered === 0
    },
    30_000,
  )
  strict!.client.socket.resume()
  assert.equal((await strict!.client.closed).code, 1013)
})

test('answers are never dropped: a client that sends and does not read is not read from', async (t) => {
  const gateway = await topicGateway(t, { env: { OUTBOX_BYTES: '64k' } })
  const [sender] = await subscribers(gateway, 1)
  const message = 'y'.repeat(32 * KIB)
  sender!.client.socket.pause()
  for (let i = 0; i < 600; i++) sender!.client.socket.send(message + i)
  sender!.client.socket.resume()
  for (let i = 0; i < 600; i++) assert.equal(await sender!.client.next(), message + i)
  await sender!.client.close()
})

test('a write that fails half-way is the last: nothing follows half a frame', async (t) => {
  const gateway = await topicGateway(t, { env: { OUTBOX_BYTES: '64k', PING_INTERVAL: '500ms', IDLE_TIMEOUT: '4s' } })
  const message = frame(1, 'y'.repeat(1000 * KIB)) // more than the bound: nothing waits behind the one that is written
  const raw = await rawSocket(gateway.port, '/ws/topic/half')
  const id = (await raw.frame()).payload.toString()
  const came: Buffer[] = []
  raw.socket.on('data', (chunk) => came.push(chunk))
  raw.socket.pause()
  for (let i = 0; i < 30; i++) raw.socket.write(message)
  const outbox = async (): Promise<number> => (await control(gateway, 'GET', `/connections/${id}`)).json.outbox
  let full = 0
  await until(
    'its outbox stays full',
    async () => {
      full = (await outbox()) > 1000 * KIB ? full + 1 : 0
      return full === 20
    },
    30_000,
  )
  const push = async (): Promise<number> => (await control(gateway, 'POST', `/connections/${id}`, 'z')).status
  await until('writing has failed: its outbox is empty, and takes a push', async () => (await push()) === 200, 30_000)
  raw.socket.resume()
  await until('there is room again', () => came.length > 0)
  await push()
  await raw.end()
  const bytes = Buffer.concat(came)
  assert.ok(bytes.length > 1000 * KIB)
  assert.equal(bytes.includes('z'), false, 'what was pushed afterwards stands in the middle of a frame')
})
