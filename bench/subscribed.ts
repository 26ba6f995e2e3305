/** Sockets that subscribe to a topic and are quiet: their memory, their processor time, and what they leave behind. */
import { startTopicGateway } from './gateways.ts'
import { checkOpenFiles, FIRST_SOCKETS, hold, release, settled } from './holding.ts'
import { GOAL_BYTES } from './idle.ts'
import { processorTime } from './proc.ts'
import type { Row } from './table.ts'

const SOCKETS = 10_000
const COME_AND_GO = 100_000
const QUIET_SOCKETS = 1_000
const QUIET_SECONDS = 60
/** So that no ping falls into the time that is measured. */
const NO_PINGS = { PING_INTERVAL: '1h', IDLE_TIMEOUT: '2h' }

export async function measureSubscribed (): Promise<Row[]> {
  checkOpenFiles(SOCKETS)
  const gateway = await startTopicGateway(NO_PINGS)
  await release(await hold(gateway, FIRST_SOCKETS))
  const empty = await settled(gateway)
  const first = await hold(gateway, SOCKETS)
  const full = await settled(gateway)
  await release(first)
  const before = await settled(gateway)
  for (let gone = 0; gone < COME_AND_GO; gone += SOCKETS) await release(await hold(gateway, SOCKETS))
  const after = await settled(gateway)

  const quiet = await hold(gateway, QUIET_SOCKETS)
  await settled(gateway)
  const time = processorTime(gateway.pid)
  await new Promise((resolve) => setTimeout(resolve, QUIET_SECONDS * 1000))
  const busy = (processorTime(gateway.pid) - time) / 1000
  await release(quiet)
  await gateway.stop()

  const row = (section: string, figure: string, value: number, digits: number, limit: number): Row =>
    ({ section, figure, rounds: { framegate: [value] }, digits, limit })
  const [sockets, all, few] = [SOCKETS, COME_AND_GO, QUIET_SOCKETS].map((number) => number.toLocaleString('en'))
  return [
    row(`${sockets} idle sockets that subscribe`, 'memory of the gateway, bytes a socket (Pss of all its processes)', (full.total - empty.total) / SOCKETS, 0, GOAL_BYTES),
    row(`${all} sockets that came and went`, `memory of the gateway, % of what it was after the first ${sockets}`, after.total / before.total * 100, 1, 105),
    row(`${all} sockets that came and went`, '… of which shared memory, likewise', after.shared / before.shared * 100, 1, 105),
    row(`${few} idle sockets that subscribe`, `processor time of the gateway in ${QUIET_SECONDS} s, ms`, busy, 0, 10)
  ]
}
