/**
 * npm run soak -- [--seconds=3600] [--seed=WORD]: sessions over a bad network, while their gateway is reloaded.
 * The seed of a round that lost something is printed; with it the same connections break again.
 */
import { test } from 'node:test'
import { parseArgs } from 'node:util'
import { soak } from './soaking.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3600' },
    seed: { type: 'string', default: Math.random().toString(36).slice(2, 8) },
  },
})

test(`sessions for ${values.seconds} s, seed ${values.seed}`, async (t) => {
  await soak(t, { seed: values.seed, seconds: Number(values.seconds), report: console.log })
})
