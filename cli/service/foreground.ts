// Runs a command in the foreground and prints its lines.
import { isatty } from 'node:tty'

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

/**
 * Loses lines that nobody can take, and nothing else: sockets must outlive a full disk (ENOSPC) and a reader of the log
 * that has gone (EPIPE).
 */
function keepRunningWithoutOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => {})
}

/** Opens no debugger on SIGUSR1, as Node would: nginx's habit is to reopen its log then. */
function ignoreLogRotation(): void {
  process.on('SIGUSR1', () => {})
}

/** Runs a command until it ends by itself or by Ctrl-C, then exits: with status 1 when it fails, and its message. */
export async function foreground(command: (stop: Stop) => Promise<void>): Promise<never> {
  keepRunningWithoutOutput()
  ignoreLogRotation()
  try {
    await command(stopSignals())
    process.exit(0)
  } catch (failure) {
    error((failure as Error).message)
    process.exit(1)
  }
}

/**
 * SIGHUP reports that the terminal is gone (signal(7)). A process that uses no terminal ignores it, as nohup(1) asks for: Node
 * drops the disposition that a process inherits, but nohup also leaves none of the three streams on the terminal.
 */
function stopSignals(): Stop {
  const usesTerminal = [0, 1, 2].some((stream) => isatty(stream))
  const requested = Promise.withResolvers<void>()
  const requestedAgain = Promise.withResolvers<void>()
  let firstMs: number | undefined
  const request = (): void => {
    firstMs ??= Date.now()
    requested.resolve()
    if (Date.now() - firstMs > REPEAT_MS) requestedAgain.resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) process.on(signal, request)
  process.on('SIGHUP', usesTerminal ? request : () => {})
  return { requested: requested.promise, requestedAgain: requestedAgain.promise }
}
