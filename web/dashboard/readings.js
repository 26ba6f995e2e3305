/** Readings of `/status` over time: rates are the differences of two readings. */

import { quantile } from '../shared/latency.js'

const KEPT = 150
const WINDOW = 60_000

/**
 * @typedef {object} Status the answer of GET /status, described in docs/protocol.md
 */

export class Readings {
  /** One value per reading, the oldest first. null where the gateway did not answer. */
  series = { connections: [], in: [], out: [], pushes: [], latency: [] }
  #last
  #latencies = [] // of the last minute

  /** Marks a gap in the series: nothing was read for a while. */
  pause() {
    if (!this.#last) return
    this.#last = undefined
    for (const values of Object.values(this.series)) push(values, null)
  }

  /**
   * @param {Status} status
   * @param {number} now milliseconds
   * @returns {Record<'in' | 'out' | 'pushes' | 'events', number | null> & { latency: Array<number | null> }} rates per second, and `latency`: the 50th, 95th and 99th percentile of the last minute, in seconds
   */
  add(status, now) {
    if (this.#last && this.#last.status.started !== status.started) this.pause()
    if (!this.#last) this.#latencies = []
    const rate = (of) =>
      this.#last ? Math.max(0, of(status) - of(this.#last.status)) / ((now - this.#last.now) / 1000) : null
    this.#latencies = [
      ...this.#latencies.filter((reading) => now - reading.now <= WINDOW),
      { now, buckets: status.handler.latency.buckets },
    ]
    const [oldest] = this.#latencies
    const rates = {
      in: rate(({ frames }) => frames.in),
      out: rate(({ frames }) => frames.out),
      pushes: rate(({ pushes }) => pushes.requests),
      events: rate(({ handler }) => handler.events),
      latency: [0.5, 0.95, 0.99].map((q) => quantile(q, status.handler.latency.buckets, oldest.buckets)),
    }
    this.#last = { status, now }
    const values = {
      connections: status.connections,
      in: rates.in,
      out: rates.out,
      pushes: rates.pushes,
      latency: rates.latency[1],
    }
    for (const [name, value] of Object.entries(values)) push(this.series[name], value)
    return rates
  }
}

function push(values, value) {
  values.push(value)
  if (values.length > KEPT) values.shift()
}
