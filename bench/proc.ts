/** Processor time and memory of processes, as the kernel reports them (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

/** Ids of a process and all its descendants. */
export function tree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return [pid, ...children.flatMap(tree)]
}

/**
 * Processor time of a process and its descendants so far, in microseconds. The kernel counts nanoseconds for each thread
 * (schedstat); what threads used that ended is not in it.
 */
export function processorTime(pid: number): number {
  const threads = tree(pid).flatMap((one) => readdirSync(`/proc/${one}/task`).map((thread) => `${one}/task/${thread}`))
  return threads.map(nanoseconds).reduce((sum, time) => sum + time, 0) / 1000
}

function nanoseconds(thread: string): number {
  try {
    return Number(readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return 0 // it has just ended
  }
}

export type Memory = { total: number; shared: number }

/**
 * Resident memory of a process and its descendants in bytes, the sum of the kernel's proportional set sizes (Pss).
 * So a page that several of them map counts once. `shared` is the part in shared memory.
 */
export function memory(pid: number): Memory {
  const sum = { total: 0, shared: 0 }
  for (const one of tree(pid)) {
    const rollup = readFileSync(`/proc/${one}/smaps_rollup`, 'utf8')
    const field = (name: string) => Number(rollup.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))?.[1] ?? 0) * 1024
    sum.total += field('Pss')
    sum.shared += field('Pss_Shmem')
  }
  return sum
}

/** How many files a child process may have open. Node and nginx raise their limit to the hard limit. */
export function openFilesLimit(): number {
  const [, , hard] = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+(\S+)\s+(\S+)/m)!
  return hard === 'unlimited' ? Infinity : Number(hard)
}
