// The watchers and the type check that run beside the gateway in development. The handler watches its own code.
import { project, settingsFile } from '../environment.ts'
import { info, error as printError } from './foreground.ts'
import type { Supervisor } from './supervisor.ts'
import { TypeCheck } from './type-check.ts'
import { type Watcher, watchFiles } from './watch.ts'

/** Reloads after an edit of Lua, of nginx's configuration or of the file of settings, and shows type errors. */
export function watchProject(supervisor: Supervisor): Watcher {
  const settings = settingsFile(process.env)
  const reloads = watchFiles({
    paths: [`${project}/lua`, `${project}/nginx`, settings],
    matches: (file) =>
      file === settings || (/\.(lua|conf|json)$/.test(file) && !file.startsWith(`${project}/lua/vendor/`)),
    edited: (files, sentence) => void reload(supervisor, sentence, { handler: files.includes(settings) }),
  })
  const types = new TypeCheck()
  const checks = watchFiles({
    paths: [`${project}/handler`, `${project}/plugin`, `${project}/tsconfig.json`],
    matches: (file) => /\.(ts|json)$/.test(file) && !file.startsWith(`${project}/plugin/dist/`),
    edited: () => types.run(),
  })
  return {
    ready: Promise.all([reloads.ready, checks.ready]).then(() => types.run()),
    close: async () => {
      await Promise.all([reloads.close(), checks.close(), types.close()])
    },
  }
}

async function reload(supervisor: Supervisor, sentence: string, what: { handler: boolean }): Promise<void> {
  try {
    info(`${sentence}: ${await supervisor.reload(what)}`)
  } catch (error) {
    printError(`${sentence} but not loaded: ${(error as Error).message}`)
  }
}
