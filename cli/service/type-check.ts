// Checks the project's types in development. A run is cheap, so each edit starts one.
// tsc --watch misses edits that are made while it starts, and then reports no errors.
import { project } from '../environment.ts'
import { type Child, startChild } from './child.ts'
import { info } from './foreground.ts'

const ARGS = ['-C', project, 'node_modules/.bin/tsc', '--noEmit', '--pretty', 'false'] // tsc names files relative to its folder

export class TypeCheck {
  #current: Child | undefined

  /** Checks the files as they are now, and prints what is wrong. A run that is not finished ends without a word. */
  run(): void {
    void this.#current?.stop([])
    const lines: string[] = []
    const child = startChild({ command: 'env', args: ARGS, env: process.env }, (line) => lines.push(line))
    this.#current = child
    void child.ended.then(async (end) => {
      await child.shown
      if (this.#current === child) print(lines, end)
    })
  }

  async close(): Promise<void> {
    const child = this.#current
    this.#current = undefined
    await child?.stop([])
  }
}

/** An error has a place in its first line; the indented lines below it say what exactly is wrong. */
function print(lines: string[], end: string): void {
  for (const line of lines) info(`types: ${line.replace(/^(.+)\((\d+),(\d+)\): /, '$1:$2:$3: ')}`)
  if (end === 'exit code 0') info('types: no errors')
  else if (lines.length === 0) info(`types: tsc did not run (${end})`)
}
