import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { join, relative } from 'node:path'
import { say } from './foreground.ts'

/**
 * Tells of every file below a folder that changes, by its path in it. Each folder is watched by itself: a file that an editor
 * replaces by another of the same name is lost to Node's recursive watching from then on. Where the machine cannot watch, such as
 * when inotify's limits are reached (inotify(7)), that is said, and nothing else happens. Without `deep` only the folder's own
 * files are watched.
 */
export class FolderWatcher {
  readonly #folder: string
  readonly #deep: boolean
  readonly #noticed: (file: string) => void
  readonly #watchers = new Map<string, FSWatcher>()

  constructor(folder: string, noticed: (file: string) => void, { deep = true } = {}) {
    this.#folder = folder
    this.#deep = deep
    this.#noticed = noticed
    this.#add(folder)
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #add(path: string): void {
    try {
      const watcher = watch(path, (_, file) => {
        if (file) this.#changed(join(path, file))
      })
      this.#watchers.set(path, watcher.on('error', this.#givenUp))
      for (const entry of readdirSync(path, { withFileTypes: true }))
        if (this.#deep && entry.isDirectory()) this.#add(join(path, entry.name))
    } catch (error) {
      this.#givenUp(error as Error)
    }
  }

  #changed(path: string): void {
    const isFolder = this.#deep && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    if (isFolder !== this.#watchers.has(path)) {
      this.#watchers.get(path)?.close()
      this.#watchers.delete(path)
      if (isFolder) this.#add(path)
    }
    this.#noticed(relative(this.#folder, path))
  }

  readonly #givenUp = (error: Error): void => {
    say(`edits in ${this.#folder} are not all seen (${error.message}): reload it yourself`)
  }
}
