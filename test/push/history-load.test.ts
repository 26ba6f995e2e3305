// The history of topics under many publishers and subscribers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { joinMany, pushGateway } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { flood, historyGateway, kept, publish, TAIL, take, takeRun } from './history.ts'

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
