/**
 * npm run fuzz -- [--seconds=3600] [--seed=WORD]: random clients, handlers and operators against a real gateway.
 * The seed of a round that found something is printed; with it the same clients and faults come again.
 */
import { parseArgs } from 'node:util'
import { fuzz } from './run.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3600' },
    seed: { type: 'string', default: Math.random().toString(36).slice(2, 8) },
  },
})

const endings: Array<() => unknown> = []

async function end(status: number): Promise<never> {
  for (const ending of endings.splice(0).reverse()) {
    await Promise.resolve()
      .then(ending)
      .catch((error: Error) => {
        console.error(`fuzz: ${error.message}`)
        status = 1
      })
  }
  process.exit(status)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end(130))

fuzz({ after: (ending: () => unknown) => endings.push(ending) } as never, {
  seed: values.seed,
  seconds: Number(values.seconds),
  report: console.log,
}).then(
  () => end(0),
  (error: Error) => {
    console.error(`fuzz: ${error.message}`)
    return end(1)
  },
)
