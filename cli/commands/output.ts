// What commands print.
import { error as printError } from '../service/foreground.ts'

/** Prints lines on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/**
 * For a list that lacks what a worker or a node holds that did not answer: prints the reason on standard error, once, and
 * lets the command exit with status 1.
 */
export function warnOfMissing(): (reason: string) => void {
  let isWarned = false
  return (reason) => {
    if (!isWarned) printError(reason)
    isWarned = true
    process.exitCode = 1
  }
}

/** Prints an answer as JSON if `--json` was given, else as text for people. */
export function show<T>({ json }: { json?: boolean }, answer: T, toText: (answer: T) => string): void {
  print(json ? JSON.stringify(answer) : toText(answer))
}
