import { once } from 'node:events'

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

export type Stop = {
  asked: Promise<unknown>
  /** Asked again: nothing more is waited for. */
  askedAgain: Promise<unknown>
}

export function say (line: string): void {
  console.log(`framegate: ${line}`)
}

/** Runs a command until it ends by itself or by Ctrl-C. What fails is told in one line. */
export async function foreground (command: (stop: Stop) => Promise<void>): Promise<never> {
  const asked = stopSignal()
  try {
    await command({ asked, askedAgain: asked.then(stopSignal) })
    process.exit(0)
  } catch (error) {
    const { message } = error as Error
    if (message) console.error(`framegate: ${message}`)
    process.exit(1)
  }
}

function stopSignal (): Promise<unknown> {
  return Promise.race(STOP_SIGNALS.map((signal) => once(process, signal)))
}
