// Many publishers and many subscriptions with history at the same time, over several nodes: the store's order is everybody's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flood, historyRoutes, kept, TAIL, takeRun } from '../push/history.ts'
import { startCluster } from './support.ts'

// HISTORY_FRAMES=96000 HISTORY_NODES=3 makes it longer.
const TOTAL = Number(process.env.HISTORY_FRAMES ?? 20_000)
const NODES = Number(process.env.HISTORY_NODES ?? 2)

test('publishes through every node while 200 sockets subscribe: none missing, none twice, in one order', async (t) => {
  const env = { HISTORY: 'chat:=100000/10m', WORKERS: '4', OUTBOX_BYTES: '32m' }
  const { nodes } = await startCluster(t, NODES, { env, routes: historyRoutes })
  const node = (i: number) => nodes[i % NODES]!
  const start = (await kept(node(0), 'chat:1')).position
  const began = performance.now()
  let isOver = false
  const publishing = nodes.map((one, i) =>
    flood(one, 'chat:1', { publishers: 2, each: TOTAL / NODES / 2, name: `node${i} ` }),
  )
  const flooding = Promise.all(publishing).then(async () => {
    t.diagnostic(`${TOTAL} frames took ${Math.round(performance.now() - began)} ms`)
    isOver = true
    await flood(node(0), 'chat:1', { publishers: 1, each: TAIL, name: 'tail' })
  })
  const whole = Promise.all(Array.from({ length: 8 }, (_, i) => takeRun(node(i), `chat:1?after=${start}`, TOTAL)))
  const runs: Array<{ after?: string; frames: string[] }> = []
  let live = 0
  while (runs.length < 200) {
    const after = (await kept(node(1), 'chat:1', '?last=300')).messages[0]?.position ?? start
    const wave = Array.from({ length: 20 }, async (_, i) =>
      i % 2
        ? { after, frames: await takeRun(node(i >> 1), `chat:1?after=${after}`, isOver ? 200 : 1000) }
        : { frames: await takeRun(node(i >> 1), 'chat:1?last=50', isOver ? 50 : 500) },
    )
    if (!isOver) live += 20
    runs.push(...(await Promise.all(wave)))
  }
  await flooding
  t.diagnostic(`${live} sockets came meanwhile`)
  const { messages } = await kept(node(0), 'chat:1', `?after=${start}`)
  const place = new Map(messages.map(({ text }, i) => [text!, i]))
  assert.equal(place.size, TOTAL + TAIL)
  const isRun = (frames: string[]) => frames.every((frame, i) => place.get(frame) === place.get(frames[0]!)! + i)
  for (const { after, frames } of runs) {
    assert.ok(isRun(frames))
    if (after) assert.equal(place.get(frames[0]!), messages.findIndex(({ position }) => position === after) + 1)
  }
  for (const frames of await whole) assert.ok(frames.length === TOTAL && isRun(frames))
  assert.ok(live >= 40, `only ${live} sockets subscribed while frames came`)
})
