/** What the tests of timers share: what a handler saw, and whether it came once per second. */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'

export type Tick = { id: string; due: number; at: number; headers: IncomingHttpHeaders }

/** One event; `due` and `at`, when it came, are in ms since 1970. */
export function tickOf(request: { event: { id: string; time: Date }; headers: IncomingHttpHeaders }): Tick {
  const { id, time } = request.event
  return { id, due: time.getTime(), at: Date.now(), headers: request.headers }
}

/** Fails unless these are the events of successive seconds, each once, in their order. */
export function isOncePerSecond(ticks: Tick[]): void {
  const dues = ticks.map(({ due }) => due)
  assert.deepEqual(
    dues,
    dues.map((_, i) => dues[0]! + i * 1000),
  )
  for (const { id, due } of ticks) assert.ok(due % 1000 === 0, id)
}
