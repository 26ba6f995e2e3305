// The command `closes`: lists sockets that ended recently.
import { Command } from 'commander'
import type { ClosedConnection } from '../../plugin/gateway/gateway.ts'
import { type LimitOptions, withLimitOptions } from './connections.ts'
import { gatewayOf } from './gateway.ts'
import { show } from './output.ts'
import { counted, table } from './table.ts'

const HEADINGS = 'TIME,CODE,CAUSE,REASON,DURATION,ID,USER,ADDRESS,PATH'.split(',')

/** A table, and how many there are. Durations in seconds. */
function closesTable(closed: ClosedConnection[]): string {
  if (closed.length === 0) return 'no closed connections'
  const rows = closed.map(({ time, code, cause, reason, duration, id, user, address, path }) => [
    ...[time, code, cause, reason, duration],
    ...[id, user, address, path],
  ])
  return `${table(HEADINGS, rows)}\n\n${counted(closed.length, 'closed connection')}`
}

export const closes = withLimitOptions(
  new Command('closes')
    .summary('Lists connections that closed: code, cause, reason.')
    .description(
      'Lists connections that closed, the newest first, 100 of the last 1,000 without --limit. The code is the close code, ' +
        '1006 when no close frame came; the cause is who or what ended it; the duration is in seconds.',
    ),
).action(async (options: LimitOptions) => {
  const closed = await gatewayOf(options).closes({ limit: options.limit })
  show(options, { closes: closed }, () => closesTable(closed))
})
