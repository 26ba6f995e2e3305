// Clients behind a bad network, while three nodes are restarted one after the other: everything once and in order.
// SCENE_FRAMES=1000 is the whole scene, SCENE_SEED another one.
import { test } from 'node:test'
import { pause, Random } from '../fuzz/random.ts'
import { Scene } from '../session/scene.ts'
import type { Gateway } from '../support/gateway.ts'
import { pushGateway } from '../support/push-gateway.ts'
import { startRedis } from '../support/redis.ts'
import { nodesInRedis, urlOf } from './support.ts'

const CLIENTS = Number(process.env.SCENE_CLIENTS ?? 100)
const FRAMES = Number(process.env.SCENE_FRAMES ?? 150)
const SEEDS = process.env.SCENE_SEED ? [process.env.SCENE_SEED] : ['framegate', 'wifi']
const NODES = 3
const PAUSE_MS = 80
const STOP_SECONDS = 4 // longer than an event takes on a loaded machine

for (const seed of SEEDS) {
  test(`seed ${seed}: a rolling restart of ${NODES} nodes loses nothing of ${CLIENTS} sessions`, async (t) => {
    const redis = await startRedis(t)
    const random = new Random(seed, 'nodes')
    const nodes: Gateway[] = []
    const away = new Set<Gateway>()
    const scene = new Scene({
      seed,
      clients: CLIENTS,
      frames: FRAMES,
      pauseMs: PAUSE_MS,
      meanBytes: 3000,
      target: () => random.pick(nodes.filter((node) => !away.has(node))),
      meanwhile: async () => {
        for (const node of nodes) {
          await pause((FRAMES * PAUSE_MS) / (NODES + 1))
          away.add(node)
          await node.quit()
          await node.startAgain()
          await nodesInRedis(redis, NODES)
          away.delete(node)
        }
      },
    })
    for (let i = 0; i < NODES; i += 1)
      nodes.push(
        await pushGateway(t, { REDIS_URL: urlOf(redis), STOP_SECONDS: String(STOP_SECONDS) }, { routes: scene.routes }),
      )
    await nodesInRedis(redis, NODES)
    t.diagnostic(JSON.stringify(await scene.play(t)))
  })
}
