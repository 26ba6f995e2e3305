// Reloads nginx and watches its worker processes to see that the reload worked.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'

const RELOAD_TIMEOUT_MS = 10_000
const POLL_MS = 20

/**
 * Reloads nginx (nginx.org/en/docs/control.html).
 * @param master pid of its master process
 * @returns the number of new workers, when the old ones accept no more sockets
 * @throws {Failure} when nginx keeps its old workers
 */
export async function reloadNginx(master: number): Promise<number> {
  const old = workersOf(master)
  process.kill(master, 'SIGHUP')
  const deadlineMs = Date.now() + RELOAD_TIMEOUT_MS
  while (Date.now() < deadlineMs) {
    const fresh = workersOf(master).filter((pid) => !old.includes(pid))
    if (fresh.length > 0 && old.every(isShuttingDown)) return fresh.length
    await sleep(POLL_MS)
  }
  throw new Failure('nginx did not reload and keeps running with its previous configuration: see its log')
}

function workersOf(master: number): number[] {
  return read(`${master}/task/${master}/children`).split(' ').filter(Boolean).map(Number)
}

/** Whether this worker takes no more sockets: nginx changes the title of one that is shutting down. */
export function isShuttingDown(worker: number): boolean {
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
