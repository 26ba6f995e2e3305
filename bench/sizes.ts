/** The section sizes: what a frame's length changes, from 64 bytes to 64 KB. */
import { PAYLOAD } from './client-bytes.ts'
import { startGateways } from './gateways.ts'
import { measureRounds, type Rounds, rowMaker } from './load.ts'
import type { Options } from './options.ts'
import type { Row } from './table.ts'

const SIZES: Array<[string, number]> = [
  ['64 B', 64],
  ['4 KB', 4096],
  ['64 KB', 65_536],
]

/** The number of sockets that send: the largest of the option, but no more than this. */
const MOST_SOCKETS = 64

/** location.capture is not here: what it keeps of each frame until the socket closes would take all memory. */
export async function measureSizes(options: Options): Promise<Row[]> {
  const bench = await startGateways(['framegate', 'middle', 'bare'])
  const sockets = Math.min(MOST_SOCKETS, Math.max(...options.sockets))
  const loads = SIZES.map(([, bytes]) => ({ sockets, payload: PAYLOAD.toString().repeat(bytes / PAYLOAD.length) }))
  const cells = await measureRounds(bench.gateways, loads, options)
  await bench.stop()
  return cells.flatMap((rounds, i) => rowsOf(`messages of ${SIZES[i]![0]}, ${sockets} sockets`, rounds))
}

function rowsOf(section: string, rounds: Rounds): Row[] {
  const row = rowMaker(section, rounds)
  return [
    row('frames/s', 'perSecond', 0),
    row('latency p50, µs', 'p50', 0),
    row('latency p99, µs', 'p99', 0),
    row('processor time of the gateway, µs a frame', 'gateway', 1),
    row('… of the handler, µs a frame', 'handler', 1),
  ]
}
