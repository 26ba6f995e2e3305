/** The section cache: what a message costs that gets a kept answer, beside one that becomes an event. */
import { NO_PINGS, startTopicGateway } from './gateways.ts'
import { timeOfMessage } from './load.ts'
import type { Options } from './options.ts'
import type { Row } from './table.ts'

const SOCKETS = 64
const LOCATIONS = 'location = /ws/cached { set $ws_cache on; include socket.conf; }\n'
/** Goal: a kept answer costs less than a third of an event. */
const MOST_PERCENT = 33

export async function measureCache(options: Options): Promise<Row[]> {
  const gateway = await startTopicGateway(NO_PINGS, LOCATIONS)
  const events: number[] = []
  const kept: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    events.push(await timeOfMessage({ ...gateway, path: '/ws/plain' }, SOCKETS, options))
    kept.push(await timeOfMessage({ ...gateway, path: '/ws/cached' }, SOCKETS, options))
  }
  await gateway.stop()
  const row = (figure: string, values: number[], more: Partial<Row> = {}): Row => ({
    section: `${SOCKETS} sockets that ask the same`,
    figure,
    digits: 1,
    rounds: { framegate: values },
    ...more,
  })
  const shares = kept.map((time, round) => (time / events[round]!) * 100)
  return [
    row('processor time of gateway and handler, µs an event', events),
    row('… µs a kept answer', kept),
    row('a kept answer, % of an event', shares, { limit: MOST_PERCENT }),
  ]
}
