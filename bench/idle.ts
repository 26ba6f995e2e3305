/** The section idle: the memory of one idle socket, in gateways that were just started. */
import { type Gateway, startGateways } from './gateways.ts'
import { checkOpenFiles, FIRST_SOCKETS, hold, release, settled } from './holding.ts'
import type { Options } from './options.ts'
import type { Memory } from './proc.ts'
import type { Row } from './table.ts'

const GOAL_BYTES = 10 * 1024

export async function measureIdle(options: Options): Promise<Row[]> {
  checkOpenFiles(options.idle)
  const bench = await startGateways(['framegate', 'middle', 'capture', 'bare'])
  const total: Row['rounds'] = {}
  const shared: Row['rounds'] = {}
  for (const gateway of bench.gateways) {
    const { before, after } = await measure(gateway, options.idle)
    total[gateway.key] = [(after.total - before.total) / options.idle]
    shared[gateway.key] = [(after.shared - before.shared) / options.idle]
  }
  await bench.stop()
  const section = `${options.idle.toLocaleString('en')} idle sockets`
  return [
    {
      section,
      figure: 'memory of the gateway, bytes a socket (Pss of all its processes)',
      rounds: total,
      digits: 0,
      limit: GOAL_BYTES,
    },
    { section, figure: '… of which shared memory', rounds: shared, digits: 0, noRatio: true },
  ]
}

async function measure(gateway: Gateway, sockets: number): Promise<{ before: Memory; after: Memory }> {
  await release(await hold(gateway, FIRST_SOCKETS))
  const before = await settled(gateway)
  const holders = await hold(gateway, sockets)
  const after = await settled(gateway)
  await release(holders)
  return { before, after }
}
