/** The section frames: sockets that echo through each gateway, beside a server that has no handler behind it. */
import { startGateways } from './gateways.ts'
import { measureRounds, type Rounds, rowMaker } from './load.ts'
import type { Options } from './options.ts'
import type { Row } from './table.ts'

type Goal = { perSecond?: Row['atLeast']; p50?: Row['atMost']; gateway?: number; handler?: number }
const GOALS: Record<number, Goal> = {
  1: { p50: { middle: 0.8 } },
  64: { perSecond: { middle: 3.5, capture: 3.5, bare: 0.65 } },
  512: { perSecond: { middle: 5.5, capture: 5, bare: 0.9 }, gateway: 10, handler: 4 },
}

export async function measureFrames(options: Options): Promise<Row[]> {
  const bench = await startGateways(['framegate', 'middle', 'capture', 'bare'])
  const cells = await measureRounds(
    bench.gateways,
    options.sockets.map((sockets) => ({ sockets })),
    options,
  )
  await bench.stop()
  return cells.flatMap((rounds, i) => rowsOf(options.sockets[i]!, rounds))
}

function rowsOf(sockets: number, rounds: Rounds): Row[] {
  const goal = GOALS[sockets] ?? {}
  const row = rowMaker(`${sockets} socket${sockets === 1 ? '' : 's'}`, rounds)
  return [
    row('frames/s', 'perSecond', 0, { atLeast: goal.perSecond }),
    row('latency p50, µs', 'p50', 0, { atMost: goal.p50 }),
    row('latency p99, µs', 'p99', 0),
    row('processor time of the gateway, µs a frame', 'gateway', 1, { limit: goal.gateway }),
    row('… of the handler, µs a frame', 'handler', 1, { limit: goal.handler }),
    row('… of the load client, µs a frame', 'client', 1, { noRatio: true }),
    row('… of the load client, % of one processor', 'clientShare', 0, { noRatio: true }),
  ]
}
