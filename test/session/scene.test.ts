// Clients behind a bad network, while their gateway is reloaded: everything once and in order, in both directions.
// SCENE_FRAMES=1000 is the whole scene, SCENE_SEED another one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pause } from '../fuzz/random.ts'
import { startApp } from '../support/app.ts'
import { startGateway } from '../support/gateway.ts'
import { Scene } from './scene.ts'

const CLIENTS = Number(process.env.SCENE_CLIENTS ?? 200)
const FRAMES = Number(process.env.SCENE_FRAMES ?? 150)
const SEEDS = process.env.SCENE_SEED ? [process.env.SCENE_SEED] : ['framegate', 'wifi']
const PAUSE_MS = 40
const RELOADS = Number(process.env.SCENE_RELOADS ?? 3)

for (const seed of SEEDS) {
  test(`seed ${seed}: ${RELOADS} reloads with drain lose nothing of ${CLIENTS} sessions`, async (t) => {
    const gateway = await startGateway(t, {
      handler: false,
      env: { MAX_CONNECTIONS_PER_IP: 'off', DRAIN_SECONDS: '1s' },
    })
    const scene = new Scene({
      seed,
      clients: CLIENTS,
      frames: FRAMES,
      pauseMs: PAUSE_MS,
      meanBytes: 3000,
      target: () => gateway,
      meanwhile: async () => {
        for (let i = 0; i < RELOADS; i += 1) {
          await pause((FRAMES * PAUSE_MS) / (RELOADS + 1))
          await gateway.reload()
        }
      },
    })
    await startApp(t, gateway.handlerSocket, { routes: scene.routes })
    const counts = await scene.play(t)
    t.diagnostic(JSON.stringify(counts))
    for (const [fault, count] of Object.entries(counts)) assert.ok(count > 0, `${fault}: ${count}`)
  })
}
