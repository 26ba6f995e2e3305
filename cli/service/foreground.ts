const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** Ctrl-C reaches npm too, which passes it on: what comes so soon is the same wish. */
const SAME_WISH = 1_000

export type Stop = {
  asked: Promise<unknown>
  /** Asked again: nothing more is waited for. */
  askedAgain: Promise<unknown>
}

export function say(line: string): void {
  console.log(`framegate: ${line}`)
}

/** Runs a command until it ends by itself or by Ctrl-C. What fails is told, a line for each thing. */
export async function foreground(command: (stop: Stop) => Promise<void>): Promise<never> {
  try {
    await command(stopSignals())
    process.exit(0)
  } catch (error) {
    tell((error as Error).message)
    process.exit(1)
  }
}

/** What went wrong, on stderr. */
export function tell(message: string): void {
  for (const line of message.split('\n').filter(Boolean)) console.error(`framegate: ${line}`)
}

function stopSignals(): Stop {
  const asked = Promise.withResolvers<void>()
  const askedAgain = Promise.withResolvers<void>()
  let first: number | undefined
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      first ??= Date.now()
      asked.resolve()
      if (Date.now() - first > SAME_WISH) askedAgain.resolve()
    })
  }
  return { asked: asked.promise, askedAgain: askedAgain.promise }
}
