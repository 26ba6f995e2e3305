// Checks objects of Kubernetes against the types of its API, which reject fields that do not exist.
import { spawnSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { folder } from '../cli/framegate.ts'
import { project } from '../project/files.ts'

const TSC = join(project, 'node_modules/.bin/tsc')
const OPTIONS = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--ignoreConfig']

/** What the compiler reports about objects as their types; nothing if all fit. */
export function compile(t: Parameters<typeof folder>[0], objects: any[]): string {
  const own = folder(t)
  symlinkSync(join(project, 'node_modules'), join(own, 'node_modules'))
  const lines = objects.flatMap(({ apiVersion, kind, ...rest }, i) => [
    `import type { I${kind} as Type${i} } from 'kubernetes-models/${apiVersion}'`,
    `export const object${i}: Type${i} = ${JSON.stringify({ apiVersion, kind, ...rest }, null, 2)}`,
  ])
  writeFileSync(join(own, 'objects.ts'), `${lines.join('\n')}\n`)
  return spawnSync(TSC, [...OPTIONS, join(own, 'objects.ts')], { cwd: own, encoding: 'utf8' }).stdout
}
