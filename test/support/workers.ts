/** The workers of a gateway as it lists them. The kernel decides which of them gets a connection, so a test has to ask. */
import { askSocket, type Gateway } from './gateway.ts'
import { until } from './wait.ts'

export type Worker = { name: string; pid: number; is_leaving: boolean; connections: number }

type Status = { node: string; workers: Worker[]; silent_workers: Worker[]; missing_links: number }

/** GET /status. There is no answer while the worker that got the request is killed. */
async function statusOf(gateway: Gateway): Promise<Status | undefined> {
  return askSocket('/status', `${gateway.run}/control/control.sock`).then(
    ({ status, body }) => (status === 200 ? JSON.parse(body) : undefined),
    () => undefined,
  )
}

async function allWorkers(gateway: Gateway): Promise<Worker[] | undefined> {
  const status = await statusOf(gateway)
  return status && [...status.workers, ...status.silent_workers]
}

/**
 * Whether none of these processes takes sockets any more: each has ended, or begun to leave. A reload starts new workers
 * at least 100 ms before the old ones stop to listen.
 */
export async function haveLeft(gateway: Gateway, pids: number[]): Promise<boolean> {
  const all = await allWorkers(gateway)
  return all?.every(({ pid, is_leaving }) => is_leaving || !pids.includes(pid)) ?? false
}

/** How many workers are leaving. */
export async function countLeaving(gateway: Gateway): Promise<number | undefined> {
  return (await allWorkers(gateway))?.filter(({ is_leaving }) => is_leaving).length
}

/** The worker that has the most sockets, and the name of its journal. */
export async function busiestWorker(gateway: Gateway): Promise<Worker & { journal: string }> {
  const { node, workers } = await until('the workers are listed', () => statusOf(gateway))
  const [busiest] = workers.toSorted((a, b) => b.connections - a.connections)
  return { ...busiest!, journal: node + busiest!.name }
}

/** Three times the longest: a killed worker is noticed by its successor, or by another worker within 10 s. */
const REPLACED_MS = 30_000

/** Waits until this many other workers live and know one another, after these processes were killed: their processes. */
export async function replacements(gateway: Gateway, killed: number[], count: number): Promise<number[]> {
  const pids = async (): Promise<number[] | false> => {
    const status = await statusOf(gateway)
    const now = status?.workers.map(({ pid }) => pid) ?? []
    return now.length === count && !now.some((pid) => killed.includes(pid)) && status?.missing_links === 0 && now
  }
  return until(`${count} other workers`, pids, REPLACED_MS)
}

/** The names of the workers that hold these sockets; an id has it after the four characters of its node. */
export function workersOf(sockets: Array<{ id: string }>): Set<string> {
  return new Set(sockets.map(({ id }) => id.slice(4, 10)))
}

/** Adds sockets until each worker holds one of them: the kernel decides which worker gets which. */
export async function spread<T extends { id: string }>(
  sockets: T[],
  workers: number,
  openMore: () => Promise<T[]>,
): Promise<T[]> {
  const areEverywhere = async (): Promise<boolean> =>
    workersOf(sockets).size === workers || !sockets.push(...(await openMore()))
  await until('each worker has a socket', areEverywhere)
  return sockets
}
