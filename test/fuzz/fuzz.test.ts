// A minute of `npm run fuzz`, always with the same clients and faults.
import { test } from 'node:test'
import { fuzz } from './run.ts'

test('random clients, handlers and operators leave nothing behind and disturb nobody', async (t) => {
  await fuzz(t, { seed: 'framegate', seconds: 60, report: (line) => t.diagnostic(line) })
})
