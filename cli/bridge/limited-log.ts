// Log lines that devices can cause: at most one of each kind in a second, so that a flood of devices does not fill a disk.
import { error } from '../service/foreground.ts'

const QUIET_MS = 1_000

type Kind = { untilMs: number; skipped: number }

export class LimitedLog {
  #kinds = new Map<string, Kind>()

  /**
   * Prints a line on standard error, unless one of its kind was printed within the last second. The next one states how many
   * were not printed.
   * @param kind one of a few names, never something that a device has sent
   */
  line(kind: string, text: string): void {
    const now = performance.now()
    const last = this.#kinds.get(kind)
    if (last && now < last.untilMs) {
      last.skipped += 1
      return
    }
    error(last?.skipped ? `${text} (and ${last.skipped} more like this)` : text)
    this.#kinds.set(kind, { untilMs: now + QUIET_MS, skipped: 0 })
  }
}
