/** What a gateway tells Prometheus: samples by their names with labels, as they are written. */
import assert from 'node:assert/strict'
import { askSocket, type Gateway } from './gateway.ts'

export type Samples = Record<string, number>

export async function metricsText(gateway: Gateway): Promise<string> {
  return (await askSocket('/metrics', `${gateway.run}/control/control.sock`)).body
}

/** Reads the text format 0.0.4. */
export function samplesOf(text: string): Samples {
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const space = line.lastIndexOf(' ')
        return [line.slice(0, space).replace(/^framegate_/, ''), Number(line.slice(space + 1))]
      }),
  )
}

export async function samples(gateway: Gateway): Promise<Samples> {
  return samplesOf(await metricsText(gateway))
}

/** How many events ended in each way, by the series of this family. */
function outcomes(all: Samples, family: string): Samples {
  const sums: Samples = {}
  for (const [name, value] of Object.entries(all)) {
    const outcome = name.startsWith(`${family}{`) && /outcome="(\w+)"/.exec(name)?.[1]
    if (outcome) sums[outcome] = (sums[outcome] ?? 0) + value
  }
  return sums
}

/**
 * What was counted and is not 0, without what depends on how fast the machine is. The events of all handlers are all
 * events, and are left out.
 */
export function counted(all: Samples): Samples {
  assert.deepEqual(outcomes(all, 'handler_events_total'), outcomes(all, 'events_total'))
  return Object.fromEntries(
    Object.entries(all).filter(
      ([name, value]) =>
        value !== 0 &&
        /_(total|count|sum)\b/.test(name) &&
        !/_seconds_sum/.test(name) &&
        !name.startsWith('handler_events_total'),
    ),
  )
}
