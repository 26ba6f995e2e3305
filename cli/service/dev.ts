// What runs beside the gateway in development. The handler watches its own folder.
import { project, settingsFile } from '../environment.ts'
import { type Child, startChild } from './child.ts'
import { info, error as printError } from './foreground.ts'
import type { Supervisor } from './supervisor.ts'
import { type Watcher, watchFiles } from './watch.ts'

/** Reloads after an edit of Lua, of nginx's configuration or of the file of settings, and shows type errors. */
export function watchProject(supervisor: Supervisor): Watcher {
  const settings = settingsFile(process.env)
  const watcher = watchFiles({
    paths: [`${project}/lua`, `${project}/nginx`, settings],
    matches: (file) =>
      file === settings || (/\.(lua|conf|json)$/.test(file) && !file.startsWith(`${project}/lua/vendor/`)),
    edited: (files, sentence) => void reload(supervisor, sentence, { handler: files.includes(settings) }),
  })
  const types = checkTypes()
  return {
    ready: watcher.ready,
    close: async () => {
      await Promise.all([watcher.close(), types.stop([])])
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

function checkTypes(): Child {
  const tsc = ['node_modules/.bin/tsc', '--noEmit', '--watch', '--preserveWatchOutput', '--pretty', 'false']
  // tsc names files relative to its working directory.
  return startChild({ command: 'env', args: ['-C', project, ...tsc], env: process.env }, (line) => {
    const place = /^(.+)\((\d+),(\d+)\): (.+)$/.exec(line)
    if (place) info(`types: ${place[1]}:${place[2]}:${place[3]}: ${place[4]}`)
    else if (/Found 0 errors/.test(line)) info('types: no errors')
  })
}
