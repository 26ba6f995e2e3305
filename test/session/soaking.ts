/** The scene of sessions for as long as wanted: cuts all the time, and a reload now and then. */
import type { TestContext } from 'node:test'
import { pause } from '../fuzz/random.ts'
import { startApp } from '../support/app.ts'
import { startGateway } from '../support/gateway.ts'
import { Scene } from './scene.ts'

const PAUSE_MS = 100
const RELOAD_SECONDS = 20

export type Soak = {
  seed: string
  seconds: number
  report: (line: string) => void
}

/** An hour has some thousand cuts. @throws {Error} with the seed and what went wrong */
export async function soak(t: TestContext, { seed, seconds, report }: Soak): Promise<void> {
  const ends = performance.now() + seconds * 1000
  for (let round = 1; performance.now() < ends; round += 1) {
    const left = Math.ceil((ends - performance.now()) / 1000)
    const counts = await soakOnce(t, `${seed}+${round}`, Math.min(left, 300))
    report(`round ${round}: ${JSON.stringify(counts)}`)
  }
}

async function soakOnce(t: TestContext, seed: string, seconds: number): Promise<Record<string, number>> {
  const gateway = await startGateway(t, {
    handler: false,
    env: { MAX_CONNECTIONS_PER_IP: 'off', DRAIN_SECONDS: '2s' },
  })
  const ends = performance.now() + seconds * 1000
  const scene = new Scene({
    seed,
    clients: 30,
    frames: (seconds * 1000) / PAUSE_MS,
    pauseMs: PAUSE_MS,
    meanBytes: 10_000,
    target: () => gateway,
    meanwhile: async () => {
      for (; performance.now() < ends - RELOAD_SECONDS * 1000; await gateway.reload())
        await pause(RELOAD_SECONDS * 1000)
    },
  })
  const app = await startApp(t, gateway.handlerSocket, { routes: scene.routes })
  const counts = await scene.play(t)
  await gateway.stop()
  await app.close()
  return counts
}
