// A minute of `npm run soak`.
import { test } from 'node:test'
import { soak } from './soaking.ts'

test('a minute of cuts and reloads loses nothing of any session', async (t) => {
  await soak(t, { seed: 'framegate', seconds: 60, report: (line) => t.diagnostic(line) })
})
