// Durations and deadlines go by a clock that nobody can set (Clock.monotonic). The clock of the wall is for people and
// protocols alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './files.ts'

/** Who reads it, and for what. */
const WALL_CLOCK: Record<string, string> = {
  'lua/framegate/runtime/clock.lua': 'timestamps',
  'lua/framegate/telemetry/traffic.lua': 'when a socket was opened, for people',
  'lua/framegate/push/history.lua': 'when a frame was kept, for people',
  'lua/framegate/dispatch/answer.lua': 'Retry-After may be a date',
  'lua/framegate/public/stream_response.lua': 'the header Date',
  'lua/framegate/worker/neighbourhood.lua': 'when a node died, by its own clock',
  'lua/framegate/socket/parked_file.lua': 'how long a gateway was stopped; its machine may have started again',
  'lua/framegate/worker/timers.lua': 'timers are times of the wall clock',
  'lua/framegate/cluster/members.lua': 'when the gateway was started and loaded, for people',
}

const READS_IT = /\bngx\.(?:now|time|req\.start_time|utctime|localtime|today|update_time)\b|\bos\.(?:time|clock)\b/

test('no duration is measured by a clock that can be set', () => {
  const readers = files('lua/framegate/**/*.lua').filter((file) => READS_IT.test(read(file)))
  assert.deepEqual(readers.sort(), Object.keys(WALL_CLOCK).sort())
})
