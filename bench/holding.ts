/** Processes that hold idle sockets, and what a gateway's memory is once nothing moves. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Gateway } from './gateways.ts'
import type { Hold } from './idle-holder.ts'
import { type Memory, memory, openFilesLimit } from './proc.ts'
import { Failure, message, startNode, stop } from './processes.ts'

/** What code runs for the first sockets, and the memory it takes, is not theirs. */
export const FIRST_SOCKETS = 200
const SETTLE_MS = 2000
const SPARE_FILES = 500
/** Each holder has an address of its own to connect from, so that ports suffice, those of sockets that have just ended too. */
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

export async function hold(gateway: Gateway, sockets: number): Promise<ChildProcess[]> {
  const holders: ChildProcess[] = []
  for (let first = 0; first < sockets; first += SOCKETS_OF_A_HOLDER) {
    const task: Hold = {
      port: gateway.port,
      sockets: Math.min(sockets - first, SOCKETS_OF_A_HOLDER),
      from: `127.0.0.${2 + (holdersSoFar++ % ADDRESSES)}`,
    }
    const holder = startNode('the holder of idle sockets', join(import.meta.dirname, 'idle-holder.ts'), [
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

/** After the last close events. A Node server is asked for its garbage; nginx keeps what it has. */
export async function settled(gateway: Gateway): Promise<Memory> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  if (gateway.key === 'middle') {
    gateway.child.kill('SIGUSR2')
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  }
  return memory(gateway.pid)
}
