/** Waits until something outside this process has come true: asks every few milliseconds, fails after a deadline. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  ms = 10_000,
): Promise<T> {
  const deadline = Date.now() + ms
  while (true) {
    const value = await ask()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
