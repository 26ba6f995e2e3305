/** Which workers take sockets. A reload starts new ones at least 100 ms before the old ones stop to listen. */
import type { Gateway } from './gateway.ts'
import { control } from './topic-gateway.ts'

type Worker = { pid: number; is_leaving: boolean }

async function workers(gateway: Gateway): Promise<Worker[] | undefined> {
  const { status, json } = await control(gateway, 'GET', '/status')
  return status === 200 ? [...json.workers, ...json.silent_workers] : undefined
}

/** Whether none of these processes takes sockets any more: each has ended, or begun to leave. */
export async function haveLeft(gateway: Gateway, pids: number[]): Promise<boolean> {
  const all = await workers(gateway)
  return all?.every(({ pid, is_leaving }) => is_leaving || !pids.includes(pid)) ?? false
}

/** How many workers are leaving. */
export async function countLeaving(gateway: Gateway): Promise<number | undefined> {
  return (await workers(gateway))?.filter(({ is_leaving }) => is_leaving).length
}
