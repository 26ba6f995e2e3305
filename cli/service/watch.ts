// Watches source files.
// `framegate dev` reloads after an edit, and the shipped handler restarts after an edit of its own code.
import { relative } from 'node:path'
import { watch } from 'chokidar'
import { project } from '../environment.ts'
import { info } from './foreground.ts'

/** Edits this close to one another are reported together: an editor may write a file twice, a checkout writes many. */
const DEBOUNCE_MS = 100

export type Watcher = {
  /** Resolves when every edit from now on is seen. */
  ready: Promise<void>
  close: () => Promise<void>
}

export type WatchOptions = {
  /** Absolute paths of folders, and of files, which need not exist. */
  paths: string[]
  /** Whether a file counts, by its absolute path. */
  matches: (file: string) => boolean
  /** Gets the absolute paths of files that were added, changed or removed; and a sentence for people, `a.ts was edited`. */
  edited: (files: string[], sentence: string) => void
}

/**
 * Watches until `close`. Where the machine cannot watch, such as when inotify's limits are reached (inotify(7)), it prints
 * that once, and edits may be missed.
 */
export function watchFiles({ paths, matches, edited }: WatchOptions): Watcher {
  const ready = Promise.withResolvers<void>()
  const files = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let isReported = false
  const watcher = watch(paths, {
    ignoreInitial: true,
    ignored: (path, stats) => stats?.isFile() === true && !matches(path),
  })
  watcher.on('all', (event, path) => {
    if (event === 'addDir' || event === 'unlinkDir' || !matches(path)) return
    files.add(path)
    clearTimeout(timer)
    timer = setTimeout(() => {
      edited([...files], sentenceOf(files))
      files.clear()
    }, DEBOUNCE_MS)
  })
  watcher.on('error', (error) => {
    if (!isReported) info(`some edits may be missed (${(error as Error).message}): reload after an edit`)
    isReported = true
    ready.resolve()
  })
  watcher.once('ready', ready.resolve)
  return {
    ready: ready.promise,
    close: () => {
      clearTimeout(timer)
      ready.resolve()
      return watcher.close()
    },
  }
}

function sentenceOf(files: Set<string>): string {
  const [first, ...others] = [...files].map((file) => relative(project, file)).sort()
  if (others.length === 0) return `${first} was edited`
  return `${first} and ${others.length} more file${others.length === 1 ? '' : 's'} were edited`
}
