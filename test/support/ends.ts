/** What became of the sockets of a test: which of them are open, and which have had their close event. */
import assert from 'node:assert/strict'
import type { Gateway } from './gateway.ts'
import { samples } from './metrics.ts'
import type { ProbeHandler } from './probe-handler.ts'
import { control } from './topic-gateway.ts'
import { until } from './wait.ts'

/**
 * The ids of the sockets that had an event. A close event whose sender was killed before it had noted the answer comes
 * again, under the same `ce-id`, and counts once.
 */
export function idsOf(handler: ProbeHandler, type: string): string[] {
  const events = handler.events.filter((event) => event.type === type)
  const byId = new Map(events.map((event) => [event.id, String(event.headers['ce-connectionid'])]))
  return [...byId.values()]
}

/**
 * Waits until each socket is open and has had no close event, or is gone and had one.
 *
 * @param gateways the nodes that live; the first is asked
 * @returns the ids of those that are open
 */
export async function checkEnds(gateways: Gateway[], handler: ProbeHandler, seed: number): Promise<string[]> {
  let seen: { open: string[]; closed: string[]; opened: string[] } | undefined
  const isWhole = async (): Promise<boolean> => {
    const { status, json } = await control(gateways[0]!, 'GET', '/connections?limit=1000')
    if (status !== 200) return false
    const open: string[] = json.connections.map(({ id }: { id: string }) => id)
    const closed = idsOf(handler, 'framegate.close')
    seen = { open, closed, opened: idsOf(handler, 'framegate.open').sort() }
    const all = [...open, ...closed] // one that ends between the two questions is in both lists
    return all.length === seen.opened.length && new Set(all).size === all.length
  }
  await until('every socket is open, or closed once', isWhole, 45_000).catch(() => undefined)
  assert.deepEqual([...seen!.open, ...seen!.closed].sort(), seen!.opened, `seed ${seed}`)
  await until('the count is true', async () => {
    const counts = await Promise.all(gateways.map(async (gateway) => (await samples(gateway)).sockets!))
    return counts.reduce((sum, count) => sum + count, 0) === seen!.open.length
  })
  return seen!.open
}
