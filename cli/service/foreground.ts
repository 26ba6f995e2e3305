// Runs a command in the foreground, and prints its lines.

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** Ctrl-C reaches npm too, which passes it on: a signal this soon after the first is the same request. */
const REPEAT_MS = 1_000

export type Stop = {
  /** Resolves at the first signal. */
  requested: Promise<unknown>
  /** Resolves at the second: stop without waiting. */
  requestedAgain: Promise<unknown>
}

/** Prints a line on standard output. */
export function info(line: string): void {
  console.log(`framegate: ${line}`)
}

/** Prints a problem on standard error, each line with the prefix. */
export function error(message: string): void {
  for (const line of message.split('\n').filter(Boolean)) console.error(`framegate: ${line}`)
}

/** Runs a command until it ends by itself or by Ctrl-C, then exits: with status 1 when it fails, and its message. */
export async function foreground(command: (stop: Stop) => Promise<void>): Promise<never> {
  try {
    await command(stopSignals())
    process.exit(0)
  } catch (failure) {
    error((failure as Error).message)
    process.exit(1)
  }
}

function stopSignals(): Stop {
  const requested = Promise.withResolvers<void>()
  const requestedAgain = Promise.withResolvers<void>()
  let firstMs: number | undefined
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      firstMs ??= Date.now()
      requested.resolve()
      if (Date.now() - firstMs > REPEAT_MS) requestedAgain.resolve()
    })
  }
  return { requested: requested.promise, requestedAgain: requestedAgain.promise }
}
