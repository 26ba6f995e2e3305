import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { ask, joinMany, pushGateway } from './support.ts'

type Message = { position: string; time: string; type: string; text?: string; base64?: string }
type Kept = { status: number; messages: Message[]; position: string }

/** A gateway whose sockets on /ws/from/TOPIC?last=&after=&else= subscribe with history, after the answer `hello`. */
async function historyGateway(t: TestContext, env: Record<string, string>, expect: RegExp[] = []): Promise<Gateway> {
  return pushGateway(t, env, {
    expect,
    routes: (app) => {
      app.post('/ws/from/:topic', (request, reply) => {
        const wanted = Object.entries(request.query as Record<string, string>).map(
          ([name, value]) => `;${name}=${value}`,
        )
        const { topic } = request.params as { topic: string }
        reply
          .header('ws-subscribe', `${topic}${wanted.join('')}`)
          .type('text/plain')
          .send('hello')
      })
    },
  })
}

async function publish(gateway: Gateway, topic: string, body: string, query = ''): Promise<any> {
  const { status, json } = await ask(gateway, 'POST', `/topics/${topic}${query}`, { body })
  assert.equal(status, 200)
  return json
}

async function kept(gateway: Gateway, topic: string, query = ''): Promise<Kept> {
  const { status, json } = await ask(gateway, 'GET', `/topics/${topic}/messages${query}`)
  return { status, ...json }
}

async function take(client: Client, count: number): Promise<string[]> {
  const all: string[] = []
  while (all.length < count) all.push(String(await client.next()))
  return all
}

test('a kept topic: positions, messages, bounds by number', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=3/10m', WORKERS: '2' })
  assert.equal((await publish(gateway, 'other', 'x')).position, undefined)
  assert.equal((await kept(gateway, 'other')).status, 404)
  const before = await kept(gateway, 'chat:1')
  assert.deepEqual(before.messages, [])
  const positions: string[] = []
  for (const body of ['a', 'b', 'c', 'd']) positions.push((await publish(gateway, 'chat:1', body)).position)
  const all = await kept(gateway, 'chat:1')
  assert.deepEqual(
    all.messages.map(({ text }) => text),
    ['b', 'c', 'd'],
  )
  assert.deepEqual(
    all.messages.map(({ position }) => position),
    positions.slice(1),
  )
  assert.equal(all.position, positions[3])
  assert.ok(Math.abs(Date.parse(all.messages[0]!.time) - Date.now()) < 60_000)
  assert.deepEqual(
    (await kept(gateway, 'chat:1', `?after=${positions[2]}`)).messages.map(({ text }) => text),
    ['d'],
  )
  assert.deepEqual((await kept(gateway, 'chat:1', `?after=${positions[3]}`)).messages, [])
  assert.equal((await kept(gateway, 'chat:1', `?after=${before.position}`)).status, 410)
  assert.equal((await kept(gateway, 'chat:1', '?after=nonsense')).status, 410)
  assert.deepEqual(
    (await kept(gateway, 'chat:1', '?last=1')).messages.map(({ text }) => text),
    ['d'],
  )
  const client = await open(`${gateway.ws}/ws/from/chat:1?last=2`)
  assert.deepEqual(await take(client, 3), ['hello', 'c', 'd'])
  await publish(gateway, 'chat:1', 'e')
  assert.deepEqual(await take(client, 1), ['e'])
  await client.close()
})

type Flood = { publishers: number; each: number; name?: string }

/** More frames than any socket still waits for when the flood is over. */
const TAIL = 1000

/** Publishes numbered frames from several publishers at a time. */
async function flood(gateway: Gateway, topic: string, { publishers, each, name = '' }: Flood) {
  const batches = each / 100
  await Promise.all(
    Array.from({ length: publishers }, async (_, publisher) => {
      for (let batch = 0; batch < batches; batch++) {
        const elements = Array.from({ length: 100 }, (_, i) => ({
          path: `/topics/${topic}`,
          text: `${name}${publisher}:${batch * 100 + i}`,
        }))
        const { status, json } = await ask(gateway, 'POST', '/batch', { body: JSON.stringify(elements) })
        assert.equal(status, 200)
        for (const part of json) assert.equal(part.status, 200)
      }
    }),
  )
}

/** Subscribes with history, and takes frames: the first of them come from the store, the others live. */
async function takeRun(gateway: Gateway, path: string, count: number): Promise<string[]> {
  const client = await open(`${gateway.ws}/ws/from/${path}`)
  assert.equal(await client.next(), 'hello')
  const frames = await take(client, count)
  client.socket.terminate()
  return frames
}

test('20,000 publishes by 4 workers while 200 sockets subscribe: none missing, none twice, in one order', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=50000/10m', WORKERS: '4', OUTBOX_BYTES: '16m' })
  const start = (await kept(gateway, 'chat:1')).position
  const size = { publishers: 4, each: 5000 }
  const total = size.publishers * size.each
  const began = performance.now()
  let isOver = false
  const flooding = flood(gateway, 'chat:1', size).then(async () => {
    isOver = true
    await flood(gateway, 'chat:1', { publishers: 1, each: TAIL, name: 'tail' })
  })
  const whole = Promise.all(Array.from({ length: 8 }, () => takeRun(gateway, `chat:1?after=${start}`, total)))
  const runs: Array<{ after?: string; frames: string[] }> = []
  let live = 0
  while (runs.length < 200) {
    const after = (await kept(gateway, 'chat:1', '?last=300')).messages[0]?.position ?? start
    const wave = Array.from({ length: 20 }, async (_, i) =>
      i % 2
        ? { after, frames: await takeRun(gateway, `chat:1?after=${after}`, isOver ? 200 : 1000) }
        : { frames: await takeRun(gateway, 'chat:1?last=50', isOver ? 50 : 500) },
    )
    if (!isOver) live += 20
    runs.push(...(await Promise.all(wave)))
  }
  await flooding
  t.diagnostic(`${total} frames took ${Math.round(performance.now() - began)} ms; ${live} sockets came meanwhile`)
  const { messages } = await kept(gateway, 'chat:1', `?after=${start}`)
  const place = new Map(messages.map(({ text }, i) => [text!, i]))
  assert.equal(place.size, total + TAIL)
  const isRun = (frames: string[]) => frames.every((frame, i) => place.get(frame) === place.get(frames[0]!)! + i)
  for (const { after, frames } of runs) {
    assert.ok(isRun(frames))
    if (after) assert.equal(place.get(frames[0]!), messages.findIndex(({ position }) => position === after) + 1)
  }
  for (const frames of await whole) assert.ok(frames.length === total && isRun(frames))
  assert.ok(live >= 60, `only ${live} sockets subscribed while frames came`)
})

test('what cannot be given whole: an error frame, or what the handler chose', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=3/10m', WORKERS: '2', OUTBOX_BYTES: '128k' })
  const { position: start } = await kept(gateway, 'chat:1')
  for (let i = 0; i < 5; i++) await publish(gateway, 'chat:1', `${i}`)
  const refused = await open(`${gateway.ws}/ws/from/chat:1?after=${start}`)
  assert.equal(await refused.next(), 'hello')
  const { statusCode, message } = await refused.json()
  assert.deepEqual([statusCode, message], [410, 'not everything after this position is kept: chat:1'])
  const last = await open(`${gateway.ws}/ws/from/chat:1?after=${start}&else=last&last=2`)
  assert.deepEqual(await take(last, 3), ['hello', '3', '4'])
  const all = await open(`${gateway.ws}/ws/from/chat:1?after=${start}&else=last`)
  assert.deepEqual(await take(all, 4), ['hello', '2', '3', '4'])
  const none = await open(`${gateway.ws}/ws/from/chat:1?after=${start}&else=none`)
  assert.deepEqual(await take(none, 1), ['hello'])
  await publish(gateway, 'chat:1', 'live')
  for (const client of [refused, last, all, none]) assert.deepEqual(await take(client, 1), ['live'])
  const { position: middle } = await kept(gateway, 'chat:1')
  const large = 'x'.repeat(40_000)
  for (const name of ['a', 'b']) await publish(gateway, 'chat:1', name + large)
  const bounded = await open(`${gateway.ws}/ws/from/chat:1?after=${middle}&else=last`)
  assert.deepEqual(await take(bounded, 2), ['hello', `b${large}`], 'no more than half of OUTBOX_BYTES')
  for (const client of [refused, last, all, none, bounded]) client.socket.terminate()
})

test('frames over 64 KB pass and are not kept; binary ones come back as base64', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: '=3/10m', WORKERS: '2' })
  const client = await open(`${gateway.ws}/ws/from/t`)
  assert.equal(await client.next(), 'hello')
  const headers = { 'content-type': 'application/octet-stream' }
  await ask(gateway, 'POST', '/topics/t', { body: Buffer.from([0, 255]), headers })
  assert.deepEqual(await client.next(), Buffer.from([0, 255]))
  assert.equal((await publish(gateway, 't', 'x'.repeat(65_537))).position, null)
  assert.equal(String(await client.next()).length, 65_537)
  assert.equal(typeof (await publish(gateway, 't', 'y'.repeat(65_536))).position, 'string')
  assert.equal(String(await client.next()).length, 65_536)
  const { messages } = await kept(gateway, 't')
  assert.deepEqual(
    messages.map(({ type, text, base64 }) => [type, text?.length, base64]),
    [
      ['binary', undefined, 'AP8='],
      ['text', 65_536, undefined],
    ],
  )
  client.socket.terminate()
})

test('bounds by age and by memory: other topics keep theirs', async (t) => {
  const gateway = await historyGateway(t, {
    HISTORY: 'old=10/1s big=100000/1h small=100/1h',
    HISTORY_BYTES: '1m',
    WORKERS: '2',
  })
  const { position } = await publish(gateway, 'old', 'a')
  await publish(gateway, 'old', 'b')
  await until('the frames are too old', async () => (await kept(gateway, 'old')).messages.length === 0)
  assert.equal((await kept(gateway, 'old', `?after=${position}`)).status, 410)
  for (let i = 0; i < 20; i++) await publish(gateway, 'small', `${i}`)
  const first = (await publish(gateway, 'big', 'first')).position
  await flood(gateway, 'big', { publishers: 4, each: 3000 })
  const { messages } = await kept(gateway, 'big', '?last=100000')
  t.diagnostic(`1 MB keeps ${messages.length} small frames`)
  assert.ok(messages.length > 1500 && messages.length < 2048)
  assert.equal((await kept(gateway, 'big', `?after=${first}`)).status, 410)
  assert.equal((await kept(gateway, 'small')).messages.length, 20)
  for (let i = 0; i < 40; i++)
    assert.equal(typeof (await publish(gateway, 'big', 'x'.repeat(60_000))).position, 'string')
  const large = (await kept(gateway, 'big', '?last=100')).messages.length
  t.diagnostic(`and ${large} frames of 60 KB`)
  assert.ok(large >= 12)
})

test('history survives a reload and a killed worker, and begins anew after a stop', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=1000/10m', WORKERS: '2' }, [/exited on signal 9/])
  const { position } = await publish(gateway, 'chat:1', 'a')
  const old = await open(`${gateway.ws}/ws/from/chat:1`)
  assert.equal(await old.next(), 'hello')
  await gateway.reload()
  const [victim] = gateway.workers().slice(-1)
  process.kill(victim!, 'SIGKILL')
  await until(
    'another worker has its place',
    () => gateway.workers().length >= 3 && !gateway.workers().includes(victim!),
  )
  const young = await open(`${gateway.ws}/ws/from/chat:1?after=${position}`)
  assert.equal(await young.next(), 'hello')
  for (let i = 0; i < 50; i++) await publish(gateway, 'chat:1', `${i}`)
  for (const client of [old, young])
    assert.deepEqual(
      await take(client, 50),
      Array.from({ length: 50 }, (_, i) => `${i}`),
    )
  assert.equal((await kept(gateway, 'chat:1', `?after=${position}`)).messages.length, 50)
  for (const client of [old, young]) client.socket.terminate()
  await gateway.quit()
  await gateway.startAgain()
  const again = await publish(gateway, 'chat:1', 'b')
  assert.notEqual(again.position, position)
  assert.equal((await kept(gateway, 'chat:1', `?after=${position}`)).status, 410)
  assert.deepEqual(
    (await kept(gateway, 'chat:1')).messages.map(({ text }) => text),
    ['b'],
  )
})

test('with a memory that is always full, and answers that publish: every reader gets all, in the same order', async (t) => {
  const gateway = await pushGateway(
    t,
    { HISTORY: 'full=100000/1h one=1/1h', HISTORY_BYTES: '1m', WORKERS: '4', OUTBOX_BYTES: '64m' },
    {
      routes: (app) => {
        app.ws('/ws/writer', {
          message: (request, reply) => {
            const text = String(request.body)
            reply.publish('full', text.padEnd((text.length * 7919) % 9000, '.')).publish('one', text)
          },
        })
      },
    },
  )
  const total = 4000
  const readers = [...(await joinMany(gateway, 'full', 8)), ...(await joinMany(gateway, 'one', 8))]
  const reading = Promise.all(readers.map(({ client }) => take(client, total)))
  const writers = await Promise.all(Array.from({ length: 16 }, () => open(`${gateway.ws}/ws/writer`)))
  for (let i = 0; i < total; i++) writers[i % 16]!.socket.send(`${i} `.padEnd(1 + (i % 700), 'x'))
  const all = (await reading).map((frames) => frames.map((frame) => Number.parseInt(frame, 10)))
  for (const topic of [all.slice(0, 8), all.slice(8)]) {
    assert.equal(new Set(topic[0]).size, total)
    for (const frames of topic) assert.deepEqual(frames, topic[0])
  }
  assert.equal((await kept(gateway, 'one')).messages.length, 1)
  const last = (await kept(gateway, 'full', '?last=1000')).messages.map(({ text }) => Number.parseInt(text!, 10))
  assert.ok(last.length > 50)
  assert.deepEqual(last, all[0]!.slice(-last.length))
  for (const client of [...writers, ...readers.map((reader) => reader.client)]) client.socket.terminate()
})
