// The files of the project, for tests about them.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const project = join(import.meta.dirname, '..', '..')

/** Files by glob patterns relative to the project, without what others wrote or programs made. */
export function files(...patterns: string[]): string[] {
  return globSync(patterns, {
    cwd: project,
    exclude: (name) => name === 'node_modules' || name === 'vendor' || name === 'dist' || name === 'run',
  }).sort()
}

export function read(file: string): string {
  return readFileSync(join(project, file), 'utf8')
}
