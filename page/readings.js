/** What `/status` said so far: how fast its counters grow, and how that went in the last minutes. */

const KEPT = 150
const WINDOW = 60_000

/**
 * @typedef {object} Status what GET /status answers, as docs/protocol.md has it
 * @typedef {[number | '+Inf', number][]} Buckets upper bounds in seconds, and how many were at most that; cumulative
 */

export class Readings {
  /** Values of each reading, the oldest first; null where none could be had. */
  series = { connections: [], in: [], out: [], pushes: [], latency: [] }
  #last
  #latencies = [] // of the last minute

  /** Nothing was read for a while: what is between two readings then is not drawn. */
  pause() {
    if (!this.#last) return
    this.#last = undefined
    for (const values of Object.values(this.series)) push(values, null)
  }

  /**
   * @param {Status} status
   * @param {number} now milliseconds
   * @returns {Record<'in' | 'out' | 'pushes' | 'events', number | null> & { latency: Array<number | null> }} each a second; latency: the 50th, 95th and 99th percentile of the last minute in seconds
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

/**
 * As Prometheus' histogram_quantile: linear within a bucket, the last finite bound beyond it.
 * @param {number} q from 0 to 1
 * @param {Buckets} buckets
 * @param {Buckets} [before] counts to be taken off
 * @returns {number | null} null when nothing was counted
 */
export function quantile(q, buckets, before = []) {
  const counts = buckets.map(([, count], i) => count - (before[i]?.[1] ?? 0))
  const total = counts.at(-1) ?? 0
  if (total <= 0) return null
  const i = counts.findIndex((count) => count >= q * total)
  const lower = i > 0 ? Number(buckets[i - 1][0]) : 0
  const below = i > 0 ? counts[i - 1] : 0
  if (buckets[i][0] === '+Inf') return lower
  return lower + ((buckets[i][0] - lower) * (q * total - below)) / (counts[i] - below)
}
