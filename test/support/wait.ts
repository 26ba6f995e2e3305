/**
 * Waits until something outside this process has come true: asks every few milliseconds, fails after a deadline. It asks once
 * more after the deadline, which has passed without a chance when this process stood still.
 *
 * @param what for the message; a function is asked for it then
 */
export async function until<T>(
  what: string | (() => string),
  ask: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  ms = 10_000,
): Promise<T> {
  const deadline = performance.now() + ms
  while (true) {
    const isLast = performance.now() > deadline
    const value = await ask()
    if (value) return value
    if (isLast) throw new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
