/** Counts of latencies, by the microsecond up to a second; longer ones count as a second. */
export class Latencies {
  readonly #counts = new Uint32Array(1_000_001)
  count = 0

  add (milliseconds: number): void {
    const microseconds = milliseconds * 1000 | 0
    this.#counts[microseconds < 1_000_000 ? microseconds : 1_000_000]!++
    this.count++
  }

  clear (): void {
    this.#counts.fill(0)
    this.count = 0
  }

  /** In microseconds: the least latency that this part of all do not exceed. */
  percentile (part: number): number {
    let left = this.count * part
    return this.#counts.findIndex((count) => (left -= count) <= 0 && this.count > 0)
  }
}
