// What runs beside the gateway while somebody works on it; the handler sees edits of its own folder by itself.
import { parse } from 'node:path'
import { project, settingsFile } from '../environment.ts'
import { startChild } from './child.ts'
import { say, tell } from './foreground.ts'
import type { Supervisor } from './supervisor.ts'
import { FolderWatcher } from './watch.ts'

const SAME_EDIT = 100
const FOLDERS = ['lua', 'nginx']

/** Reloads after an edit of Lua, of nginx's configuration or of the file of settings, and shows errors of types. */
export function watchProject(supervisor: Supervisor): { close: () => Promise<void> } {
  let edit: NodeJS.Timeout | undefined
  let handler = false // whether one of the edits concerns it, too
  const edited = (file: string, what: { handler: boolean }): void => {
    handler ||= what.handler
    clearTimeout(edit)
    edit = setTimeout(() => {
      void reload(supervisor, file, { handler })
      handler = false
    }, SAME_EDIT)
  }
  const noticed = (file: string): void => {
    if (/\.(lua|conf|json)$/.test(file) && !file.includes('/vendor/')) edited(file, { handler: false })
  }
  const settings = parse(settingsFile(process.env))
  const watchers = [
    ...FOLDERS.map((folder) => new FolderWatcher(`${project}/${folder}`, (file) => noticed(`${folder}/${file}`))),
    new FolderWatcher(
      settings.dir,
      (file) => {
        if (file === settings.base) edited(file, { handler: true })
      },
      { deep: false },
    ),
  ]
  const types = checkTypes()
  return {
    close: async () => {
      clearTimeout(edit)
      for (const watcher of watchers) watcher.close()
      await types.stop([])
    },
  }
}

async function reload(supervisor: Supervisor, file: string, what: { handler: boolean }): Promise<void> {
  try {
    say(`${file} was edited: ${await supervisor.reload(what)}`)
  } catch (error) {
    tell(`${file} was edited, and is not taken: ${(error as Error).message}`)
  }
}

function checkTypes(): ReturnType<typeof startChild> {
  // It names files from where it runs.
  const args = [
    '-C',
    project,
    'node_modules/.bin/tsc',
    '--noEmit',
    '--watch',
    '--preserveWatchOutput',
    '--pretty',
    'false',
  ]
  return startChild({ command: 'env', args, env: process.env }, (line) => {
    const place = /^(.+)\((\d+),(\d+)\): (.+)$/.exec(line)
    if (place) say(`types: ${place[1]}:${place[2]}:${place[3]}: ${place[4]}`)
    else if (/Found 0 errors/.test(line)) say('types: right')
  })
}
