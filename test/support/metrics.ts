/** What a gateway tells Prometheus: samples by their names with labels, as they are written. */
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

/** What was counted and is not 0, without what depends on how fast the machine is. */
export function counted(all: Samples): Samples {
  return Object.fromEntries(
    Object.entries(all).filter(
      ([name, value]) => value !== 0 && /_(total|count|sum)\b/.test(name) && !/_seconds_sum/.test(name),
    ),
  )
}
