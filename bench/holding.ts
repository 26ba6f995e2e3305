/** Processes that hold sockets, and the memory of a gateway once it is stable. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Gateway } from './gateways.ts'
import type { Hold } from './idle-holder.ts'
import { type Memory, memory, openFilesLimit } from './proc.ts'
import { Failure, message, startNode, stop } from './processes.ts'

/** Sockets to open in advance: the code that runs for the first sockets takes memory that is not theirs. */
export const FIRST_SOCKETS = 200
const SETTLE_MS = 2000
const SPARE_FILES = 500
/** Each holder connects from its own address, so there are enough ports, even while those of ended sockets stay in use. */
const SOCKETS_OF_A_HOLDER = 10000
const ADDRESSES = 250

let holdersSoFar = 0

export function checkOpenFiles(sockets: number): void {
  const limit = openFilesLimit()
  const needed = sockets + SPARE_FILES
  if (limit < needed) {
    throw new Failure(
      `a process may have ${limit} open files, and ${sockets} idle sockets need ${needed}: ` +
        `raise it with ulimit -Hn ${needed} as root, or say --idle=${Math.max(limit - SPARE_FILES, 1)}`,
    )
  }
}

/** Opens sockets at this path, and holds them. With `asks`, each sends one message. */
export async function hold(
  gateway: Gateway,
  sockets: number,
  { path = '/ws/echo', asks = false } = {},
): Promise<ChildProcess[]> {
  const holders: ChildProcess[] = []
  for (let first = 0; first < sockets; first += SOCKETS_OF_A_HOLDER) {
    const task: Hold = {
      port: gateway.port,
      sockets: Math.min(sockets - first, SOCKETS_OF_A_HOLDER),
      from: `127.0.0.${2 + (holdersSoFar++ % ADDRESSES)}`,
      path,
      asks,
    }
    const holder = startNode('the holder of sockets', join(import.meta.dirname, 'idle-holder.ts'), [
      JSON.stringify(task),
    ])
    holders.push(holder)
    await message(holder)
  }
  return holders
}

export async function release(holders: ChildProcess[]): Promise<void> {
  await Promise.all(holders.map(stop))
}

/** Memory after the last close events. A Node server collects its garbage first; nginx keeps the memory it has. */
export async function settled(gateway: Gateway): Promise<Memory> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  if (gateway.key === 'middle' || gateway.key === 'bare') {
    gateway.child.kill('SIGUSR2')
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  }
  return memory(gateway.pid)
}
