/** How long the handler takes to answer, from the buckets of `/status`. The dashboard and `framegate status` show the same. */

/** @typedef {[bound: number | '+Inf', count: number][]} Buckets upper bounds in seconds, and how many were at most that; cumulative */

/**
 * As Prometheus' histogram_quantile: linear within a bucket, the last finite bound beyond it.
 * https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 * @param {number} q from 0 to 1
 * @param {Buckets} buckets
 * @param {Buckets} [before] an earlier reading: its counts are subtracted
 * @returns {number | null} seconds; null when nothing was counted
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

/** `12 ms`. @param {number | null} seconds @returns {string} */
export function latency(seconds) {
  if (seconds === null) return '–'
  if (seconds >= 1) return `${seconds.toFixed(1)} s`
  const milliseconds = seconds * 1000
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`
}
