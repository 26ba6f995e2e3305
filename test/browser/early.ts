/** Stands in for what branch metrics brings, in the page: fields that the answers do not have yet. */
import type { BrowserContext } from 'playwright-core'

export async function completeAnswers (context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const real = window.fetch
    let turn = 0
    const traffic = { frames: { in: 0, out: 0 }, bytes: { in: 0, out: 0 } }
    window.fetch = async (input, init) => {
      const answer = await real(input, init)
      if (!answer.ok || answer.status === 204 || init?.method !== 'GET') return answer
      const json = await answer.json()
      const complete = (facts: object) => ({ ...traffic, ...facts })
      if (json.connections?.map) json.connections = json.connections.map(complete)
      if (!/^status$/.test(String(input)) || json.handler) return Response.json(json.id ? complete(json) : json)
      turn += 1
      return Response.json({
        version: '0.1.0', started: '2026-11-21T12:00:00.000Z', uptime: turn, configuration: 1, loaded: '2026-11-21T12:00:00.000Z', ...json,
        workers: [1, 2].map((pid) => ({ name: `worker${pid}`, pid, configuration: 1, is_leaving: false, connections: 1, memory: 1e7, lua_memory: 1e6, lanes: 1, waiting: 0 })),
        frames: { in: turn * 10, out: turn * 20 }, bytes: { in: turn * 100, out: turn * 200 }, pushes: { requests: turn, delivered: turn, dropped: 0 },
        handler: { is_up: true, events: turn * 10, failures: 0, latency: { sum: turn, count: turn, buckets: [[0.001, turn], ['+Inf', turn]] } },
      })
    }
  })
}
