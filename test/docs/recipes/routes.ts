/** For recipes that are a route of the shipped handler: the project with the route in it, started. */
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { copyOfProject, READY, type Run, run } from '../../cli/framegate.ts'
import { freePort } from '../../support/free-port.ts'
import { project } from '../../support/gateway.ts'

/** A copy of the project with a route in `handler/routes/` that compiles, registered as the README shows. */
export function projectWithRoute(t: TestContext, name: string, route: string): string {
  const copy = copyOfProject(t)
  const file = join(copy, 'handler/app.ts')
  const app = readFileSync(file, 'utf8')
  const changed = app.replace(/^.*app\.register\(form\).*\n/m, (line) => `${line}  await app.register(${name})\n`)
  if (changed === app) throw new Error('handler/app.ts registers its routes in another way')
  writeFileSync(file, `import ${name} from './routes/${name}.ts'\n${changed}`)
  writeFileSync(join(copy, `handler/routes/${name}.ts`), route)
  cpSync(join(project, 'tsconfig.json'), join(copy, 'tsconfig.json'))
  execFileSync(join(project, 'node_modules/.bin/tsc'), ['-p', copy], { stdio: 'inherit' })
  return copy
}

/** Starts that project; resolves when sockets can be opened. */
export async function startProject(
  t: TestContext,
  copy: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Run & { http: string; ws: string }> {
  const port = await freePort()
  const own = { PORT: String(port), RUN_DIR: join(copy, 'run'), ...env }
  const started = run(t, process.execPath, [join(copy, 'cli/bin.js'), 'start'], own)
  const [http, ws] = [`http://127.0.0.1:${port}`, `ws://127.0.0.1:${port}`]
  await started.said(READY)
  return { ...started, http, ws }
}
