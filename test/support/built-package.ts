/** For code that imports `framegate` by its name: a folder in which the package is there as it is built. */
import { execFileSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { project } from './gateway.ts'

let isBuilt = false

/** Links the development packages into the folder, with `framegate` among them. */
export function linkPackages(folder: string): void {
  if (!isBuilt) execFileSync('npm', ['run', 'build'], { cwd: project, stdio: 'pipe' })
  isBuilt = true
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'))
}

/** Writes a module into the folder, beside these packages; its path. */
export function moduleBesidePackages(folder: string, text: string): string {
  linkPackages(folder)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const file = join(folder, 'handler.js')
  writeFileSync(file, text)
  return file
}
