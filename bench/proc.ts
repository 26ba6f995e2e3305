/** Processor time and memory of processes, as the kernel reports them (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts in hundredths of a second here, on every architecture. */
const TICKS_PER_SECOND = 100

/** Ids of a process and all its descendants. */
export function tree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return [pid, ...children.flatMap(tree)]
}

/** Processor time of a process and its descendants so far, in microseconds. */
export function processorTime(pid: number): number {
  let ticks = 0
  for (const one of tree(pid)) {
    const stat = readFileSync(`/proc/${one}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return (ticks * 1e6) / TICKS_PER_SECOND
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
