/** Random choices that a seed repeats. Each actor has a stream of its own, so what one does is the same whoever is faster. */

export class Random {
  #state: number

  /** Equal parts give equal streams. */
  constructor(...parts: Array<string | number>) {
    this.#state = 0x811c9dc5 // FNV-1a
    for (const character of parts.join('/')) {
      this.#state = Math.imul(this.#state ^ character.charCodeAt(0), 0x01000193)
    }
  }

  /** From 0 up to 1: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number, both ends included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!
  }

  /** Mostly small, now and then up to `most`. */
  size(most: number): number {
    return this.chance(0.8) ? this.int(0, Math.min(200, most)) : this.int(0, most)
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(0, 255)))
  }

  text(length: number): string {
    return Array.from({ length }, () => this.pick(['a', 'b', ' ', '{', '"', '\\', '\n', 'é', '€', '😀'])).join('')
  }

  /** Cut into pieces in random places. */
  cut(data: Buffer): Buffer[] {
    const places = Array.from({ length: this.int(0, 4) }, () => this.int(0, data.length)).sort((a, b) => a - b)
    return [...places, data.length].map((end, i) => data.subarray(i === 0 ? 0 : places[i - 1]!, end))
  }
}

/** Lets time pass: the pace of an actor, not a wait for something. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
