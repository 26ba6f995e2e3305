/** The section subscribed: memory and processor time of quiet subscribers, and the memory they leave after their end. */
import { NO_PINGS, startTopicGateway } from './gateways.ts'
import { checkOpenFiles, FIRST_SOCKETS, hold, release, settled } from './holding.ts'
import { type Memory, processorTime } from './proc.ts'
import { median, type Row } from './table.ts'

const SOCKETS = 10_000
const COME_AND_GO = 100_000
/** How many of the first waves are compared with as many of the last. */
const WAVES = 4
const QUIET_SOCKETS = 1_000
const QUIET_SECONDS = 60
const GOAL_BYTES = 11 * 1024

export async function measureSubscribed(): Promise<Row[]> {
  checkOpenFiles(SOCKETS)
  const gateway = await startTopicGateway(NO_PINGS)
  await release(await hold(gateway, FIRST_SOCKETS))
  const empty = await settled(gateway)
  const first = await hold(gateway, SOCKETS)
  const full = await settled(gateway)
  await release(first)
  const gone = [await settled(gateway)] // memory after each wave; at most SOCKETS are open at a time
  while (gone.length * SOCKETS < COME_AND_GO) {
    await release(await hold(gateway, SOCKETS))
    gone.push(await settled(gateway))
  }

  const quiet = await hold(gateway, QUIET_SOCKETS)
  await settled(gateway)
  const time = processorTime(gateway.pid)
  await new Promise((resolve) => setTimeout(resolve, QUIET_SECONDS * 1000))
  const busy = (processorTime(gateway.pid) - time) / 1000
  await release(quiet)
  await gateway.stop()
  return rows({ bytes: (full.total - empty.total) / SOCKETS, gone, busy })
}

function rows({ bytes, gone, busy }: { bytes: number; gone: Memory[]; busy: number }): Row[] {
  const row = (section: string, figure: string, value: number, digits: number, limit: number): Row => ({
    section,
    figure,
    rounds: { framegate: [value] },
    digits,
    limit,
  })
  const [sockets, all, few] = [SOCKETS, COME_AND_GO, QUIET_SOCKETS].map((number) => number.toLocaleString('en'))
  return [
    row(
      `${sockets} idle sockets that subscribe`,
      'memory of the gateway, bytes a socket (Pss of all its processes)',
      bytes,
      0,
      GOAL_BYTES,
    ),
    row(
      `${all} sockets that came and went`,
      'memory of the gateway after the last waves, % of that after the first',
      growth(gone, 'total'),
      1,
      105,
    ),
    row(`${all} sockets that came and went`, '… of which shared memory, the same', growth(gone, 'shared'), 1, 105),
    row(`${few} idle sockets that subscribe`, `processor time of the gateway in ${QUIET_SECONDS} s, ms`, busy, 0, 10),
  ]
}

/** Heaps grow and shrink by a fifth or more, so this compares the medians of a few waves. */
function growth(waves: Memory[], part: keyof Memory): number {
  const of = (some: Memory[]): number => median(some.map((memory) => memory[part]))
  return (of(waves.slice(-WAVES)) / of(waves.slice(0, WAVES))) * 100
}
