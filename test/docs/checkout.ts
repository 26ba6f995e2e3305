/** A clone of the project as people make it, without what is not committed to git: no npm packages, no Lua library. */
import { execFileSync } from 'node:child_process'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { folder } from '../cli/framegate.ts'
import { cleanCopy } from '../compose/stack.ts'

export type Checkout = {
  /** The repository that `git pull` asks. */
  origin: string
  clone: string
  /** Runs git in the origin. */
  git: (...args: string[]) => void
}

/** Commits the files of this checkout to a repository of their own, and clones that. */
export function checkout(t: TestContext): Checkout {
  const own = folder(t)
  const [origin, clone] = [join(own, 'origin'), join(own, 'framegate')]
  renameSync(cleanCopy(), origin)
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com']
  const git = (...args: string[]): void =>
    void execFileSync('git', [...identity, ...args], { cwd: origin, stdio: 'pipe' })
  git('init', '--quiet')
  git('add', '--all')
  git('commit', '--quiet', '--message', 'A release')
  execFileSync('git', ['clone', '--quiet', origin, clone], { stdio: 'pipe' })
  return { origin, clone, git }
}
