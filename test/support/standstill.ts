/** Processes that a test stops for a while. */
import { readFileSync } from 'node:fs'
import { until } from './wait.ts'

/** False also for one that has ended. */
export function isHeld(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') T ')
  } catch {
    return false
  }
}

/**
 * Stops a process, and waits until it stands still. Until it has processed the signal, the kernel may still give it a
 * connection, and then wakes no other process.
 */
export async function hold(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until('it stands still', () => isHeld(pid))
}
