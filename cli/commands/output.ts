// What commands print on standard output.

/** Prints lines on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints an answer as JSON if `--json` was given, else as text for people. */
export function show<T>({ json }: { json?: boolean }, answer: T, toText: (answer: T) => string): void {
  print(json ? JSON.stringify(answer) : toText(answer))
}
