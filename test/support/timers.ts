/** What the tests of timers share: what a handler saw, and whether it came once per second. */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import type { TestContext } from 'node:test'

export type Tick = { id: string; due: number; at: number; headers: IncomingHttpHeaders }

/** One event; `due` and `at`, when it came, are in ms since 1970. */
export function tickOf(request: { event: { id: string; time: Date }; headers: IncomingHttpHeaders }): Tick {
  const { id, time } = request.event
  return { id, due: time.getTime(), at: Date.now(), headers: request.headers }
}

const PACE_MS = 50

/** Watches the clock until the test ends: for how many ms at most this process, and with it the machine, has stood still. */
export function watchClock(t: TestContext): () => number {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - PACE_MS)
    last = now
  }, PACE_MS)
  t.after(() => clearInterval(timer))
  return () => longest
}

/**
 * Fails unless these are the events of successive seconds, each once, in their order.
 *
 * @param stoodMs how long the machine has stood still: a second that has passed meanwhile has no event
 */
export function isOncePerSecond(ticks: Tick[], stoodMs = 0): void {
  const dues = ticks.map(({ due }) => due)
  const longest = 1000 + 1000 * Math.floor((stoodMs + 2 * PACE_MS) / 1000)
  for (const [i, due] of dues.slice(1).entries()) {
    const gap = due - dues[i]!
    assert.ok(
      gap >= 1000 && gap <= longest,
      `${gap} ms between two of ${dues.join(' ')}; it stood still for ${stoodMs} ms`,
    )
  }
  for (const { id, due } of ticks) assert.ok(due % 1000 === 0, id)
}
