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

/** Runs a command until it ends by itself or by Ctrl-C. What fails is told, a line for each thing. */
export async function foreground (command: (stop: Stop) => Promise<void>): Promise<never> {
  const asked = stopSignal()
  try {
    await command({ asked, askedAgain: asked.then(stopSignal) })
    process.exit(0)
  } catch (error) {
    tell((error as Error).message)
    process.exit(1)
  }
}

/** What went wrong, on stderr. */
export function tell (message: string): void {
  for (const line of message.split('\n').filter(Boolean)) console.error(`framegate: ${line}`)
}

function stopSignal (): Promise<unknown> {
  return Promise.race(STOP_SIGNALS.map((signal) => once(process, signal)))
}
