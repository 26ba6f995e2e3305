// Checks the values of effects: what a handler may choose, before the gateway refuses the whole answer.

/** Which of the frames that a topic keeps (HISTORY) a new subscriber gets first. */
export interface HistoryOptions {
  /** How many of the last ones. */
  last?: number
  /** All after this position, or none when the gateway no longer has all of them. */
  after?: string
  /**
   * When the gateway no longer has all of them: `'last'` gives the last ones (`last` is how many), `'none'` gives
   * nothing. Otherwise the client gets an error frame with the status 410.
   */
  else?: 'last' | 'none'
}

const MAX_NAME_BYTES = 255
const MAX_STATE_BYTES = 4096
const MAX_ALARM_SECONDS = 365 * 86_400

/**
 * The name of a topic or user, or a key, with unpaired surrogates replaced. `what` names it in an error.
 * @throws {TypeError} when it is no string, {RangeError} when it is empty or over 255 bytes
 */
export function checkName(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new TypeError(`${what} must be a string, got ${typeof value}`)
  const bytes = Buffer.byteLength(value)
  if (bytes === 0 || bytes > MAX_NAME_BYTES) {
    throw new RangeError(`${what} must be 1 to ${MAX_NAME_BYTES} bytes of UTF-8, got ${bytes}`)
  }
  return value.toWellFormed()
}

/**
 * The state as it is sent: '' removes it.
 * @throws {TypeError} when it is neither a string nor null, {RangeError} when it is over 4096 bytes
 */
export function checkState(value: unknown): string {
  if (value !== null && typeof value !== 'string') {
    throw new TypeError(`state must be a string or null, got ${typeof value}`)
  }
  const state = (value ?? '').toWellFormed()
  const bytes = Buffer.byteLength(state)
  if (bytes > MAX_STATE_BYTES)
    throw new RangeError(`state must be at most ${MAX_STATE_BYTES} bytes of UTF-8, got ${bytes}`)
  return state
}

/** @throws {TypeError} when it is no number, {RangeError} when it is below 0 or over a year */
export function checkAlarm(seconds: unknown): number {
  if (typeof seconds !== 'number') throw new TypeError(`alarm must be a number, got ${typeof seconds}`)
  if (!(seconds >= 0 && seconds <= MAX_ALARM_SECONDS)) {
    throw new RangeError(`alarm must be 0 to ${MAX_ALARM_SECONDS} seconds, got ${seconds}`)
  }
  return seconds
}

/** @throws {TypeError} for a subscriber that cannot be left out */
export function checkExcept(except: unknown): void {
  if (except !== undefined && except !== 'self') throw new TypeError(`except can only be 'self', got ${String(except)}`)
}

/** @throws {TypeError | RangeError} for values that the gateway does not take */
export function checkHistory({ last, after, else: otherwise }: HistoryOptions): HistoryOptions {
  const history: HistoryOptions = {}
  if (last !== undefined) {
    if (!Number.isInteger(last) || last < 1) throw new RangeError(`last must be a whole number from 1, got ${last}`)
    history.last = last
  }
  if (after !== undefined) {
    if (typeof after !== 'string') throw new TypeError(`after must be a position, got ${typeof after}`)
    history.after = after
  }
  if (otherwise !== undefined) {
    if ((otherwise !== 'last' && otherwise !== 'none') || after === undefined)
      throw new TypeError(`else can only be 'last' or 'none', beside after, got ${String(otherwise)}`)
    history.else = otherwise
  }
  return history
}
