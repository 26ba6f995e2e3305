// Faults of every kind one after the other, in a random order, in the middle of pushing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../support/wait.ts'
import { nodesInRedis, reaches, startCluster } from './support.ts'
import { during, startTraffic } from './traffic.ts'

// SECONDS makes it longer, SEED repeats the order of faults of a run.
const SECONDS = Number(process.env.SECONDS ?? 15)
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6))

const HELD_MS = 10_000 // a link waits for so long for what is under way

/** Numbers below a limit, the same for the same seed (a linear congruential generator). */
function random(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

test('faults of every kind', { timeout: (SECONDS + 90) * 1000 }, async (t) => {
  t.diagnostic(`SEED=${SEED}`)
  const below = random(SEED)
  const { redis, nodes } = await startCluster(t, 3)
  const traffic = await startTraffic(t, nodes)
  const faults: Record<string, () => Promise<void>> = {
    reload: () => nodes[below(3)]!.reload(),
    'kill links': async () => void (await redis.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')),
    'forget scripts': async () => void (await redis.ask('SCRIPT', 'FLUSH')),
    'stand still': async () => {
      redis.freeze()
      await during(below(2500))
      redis.thaw()
    },
    restart: async () => {
      await redis.stop('SIGKILL')
      await during(below(1500))
      await redis.start()
    },
  }
  const names = Object.keys(faults)
  const ends = Date.now() + SECONDS * 1000
  const done: string[] = []
  while (Date.now() < ends) {
    const name = names[below(names.length)]!
    done.push(name)
    await faults[name]!()
    await during(below(800))
  }
  t.diagnostic(done.join(', '))
  await nodesInRedis(redis, 3)
  for (const node of nodes) await reaches(node, 'traffic', 12)
  await traffic.stop()
  const refused = await traffic.repeatFailed()
  const lost = await traffic.check()
  t.diagnostic(`${traffic.pushes.length} pushes, ${refused} refused, ${lost} publications lost`)
  // A request that is not finished would hold up the end of a node.
  for (const node of nodes) {
    const began = performance.now()
    await node.quit()
    assert.ok(performance.now() - began < HELD_MS)
  }
  await until('all nodes have left', async () => (await redis.ask('HLEN', 'framegate:nodes')) === ':0\r\n')
})
