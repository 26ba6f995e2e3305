import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'

const RELOADED_WITHIN = 10_000
const POLL_EVERY = 20

/**
 * Tells nginx to reload.
 * @returns the number of new workers, when those before them take no more sockets
 */
export async function reloadNginx(master: number): Promise<number> {
  const before = workersOf(master)
  process.kill(master, 'SIGHUP')
  const deadline = Date.now() + RELOADED_WITHIN
  while (Date.now() < deadline) {
    const fresh = workersOf(master).filter((pid) => !before.includes(pid))
    if (fresh.length > 0 && before.every(isLeaving)) return fresh.length
    await sleep(POLL_EVERY)
  }
  throw new Failure('nginx did not take what it was told to reload, and goes on as before: its log says why')
}

function workersOf(master: number): number[] {
  return read(`${master}/task/${master}/children`).split(' ').filter(Boolean).map(Number)
}

/** nginx changes the title of a worker that was told to go. */
function isLeaving(worker: number): boolean {
  const title = read(`${worker}/cmdline`)
  return title === '' || title.includes('shutting down')
}

function read(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8').trim()
  } catch {
    return ''
  }
}
