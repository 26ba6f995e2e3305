// The command `status`: shows a gateway's workers, sockets, throughput and latency, and the nodes of its cluster.
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import type { GatewayStatus, NodeList } from '../../plugin/gateway/gateway.ts'
import { latency, quantile } from '../../web/shared/latency.js'
import { duration } from './duration.ts'
import { type GatewayOptions, gatewayOf, withGatewayOptions } from './gateway.ts'
import { clusterRows, nodeTable } from './nodes.ts'
import { print } from './output.ts'
import { counted, table } from './table.ts'

const SAMPLE_MS = 1000

export const status = withGatewayOptions(
  new Command('status')
    .summary("Shows the gateway's status: workers, sockets, throughput, handler latency, nodes.")
    .description(
      "Shows the gateway's status: workers, sockets, throughput, handler latency, and the nodes of its cluster. " +
        'Samples for one second; --json prints a single reading.',
    ),
).action(async (options: GatewayOptions) => {
  const gateway = gatewayOf(options)
  const before = await gateway.status()
  if (options.json) return print(JSON.stringify({ ...before, ...(await gateway.nodes()) }))
  const startMs = performance.now()
  await sleep(SAMPLE_MS)
  const now = await gateway.status()
  const seconds = (performance.now() - startMs) / 1000
  const nodes = await gateway.nodes()
  print(
    [describe({ before, now, seconds, nodes }), workers(now), handlers(now), nodeTable(nodes)]
      .filter(Boolean)
      .join('\n\n'),
  )
})

type Readings = { before: GatewayStatus; now: GatewayStatus; seconds: number; nodes: NodeList }

/** A list for people, from two readings that are some seconds apart. */
function describe({ before, now, seconds, nodes }: Readings): string {
  const rate = (pick: (status: GatewayStatus) => number): string =>
    `${Math.round((pick(now) - pick(before)) / seconds)}/s`
  const rows: Array<[string, string]> = [
    [
      'gateway',
      `${now.node}, version ${now.version}, up ${duration(now.uptime)}, configuration ${now.configuration} for ${age(now.loaded)}`,
    ],
    ['sockets', counted(now.connections, 'socket')],
    ...sessions(now),
    ['frames', `${rate(({ frames }) => frames.in)} in, ${rate(({ frames }) => frames.out)} out`],
    [
      'pushes',
      `${rate(({ pushes }) => pushes.requests)}, ${rate(({ pushes }) => pushes.delivered)} delivered, ${counted(now.pushes.dropped, 'frame')} dropped so far`,
    ],
    ['handler', handler(before.handler, now.handler)],
  ]
  if (now.cache.misses > 0)
    rows.push([
      'cache',
      `${rate(({ cache }) => cache.hits)} hits, ${rate(({ cache }) => cache.misses)} misses, ${rate(({ cache }) => cache.waits)} waits`,
    ])
  if (now.timers.length > 0)
    rows.push(['timers', now.timers.map(({ path, period }) => `${path} every ${period} s`).join(', ')])
  if (now.missing_links > 0) rows.push(['links', `${now.missing_links} between workers are missing`])
  for (const { name, pid } of now.silent_workers)
    rows.push(['silent', `worker ${name} (pid ${pid}) does not answer: what it holds is missing here`])
  rows.push(...clusterRows(nodes))
  return rows.map(([name, text]) => `${name.padEnd(9)}${text}`).join('\n')
}

/** A row for clients that are away, if there are any. */
function sessions({ sessions: { away, bytes } }: GatewayStatus): Array<[string, string]> {
  if (away === 0) return []
  return [['away', `${counted(away, 'client')} of sessions, ${mebibytes(bytes)} wait for them`]]
}

function workers({ workers }: GatewayStatus): string {
  return table(
    ['WORKER', 'PID', 'SOCKETS', 'MEMORY', 'LUA', 'LANES', 'WAITING', 'CONFIGURATION'],
    workers.map((worker) => [
      worker.name,
      worker.pid,
      worker.connections,
      mebibytes(worker.memory),
      mebibytes(worker.lua_memory),
      worker.lanes,
      worker.waiting,
      `${worker.configuration}${worker.is_leaving ? ' (shutting down)' : ''}`,
    ]),
  )
}

/** A table of the handlers, or nothing if there is only that of HANDLER_URL. */
function handlers({ handlers }: GatewayStatus): string {
  if (handlers.length < 2) return ''
  return table(
    ['HANDLER', 'EVENTS', 'FAILURES', 'LANES', 'WAITING', 'STATE'],
    handlers.map((one) => [one.name, one.events, one.failures, one.lanes, one.waiting, health(one.is_up)]),
  )
}

function health(isUp: boolean | null): string {
  if (isUp === null) return 'no event yet'
  return isUp ? 'answers' : 'DOES NOT ANSWER'
}

/** The latency is of the events between the readings, or of all events when there were none. */
function handler(before: GatewayStatus['handler'], now: GatewayStatus['handler']): string {
  const events = `${counted(now.events, 'event')}, ${counted(now.failures, 'failure')}`
  if (now.latency.count === 0) return `${health(now.is_up)}; ${events}`
  const isRecent = now.latency.count > before.latency.count
  const quantiles = [0.5, 0.95, 0.99].map((q) => {
    const seconds = quantile(q, now.latency.buckets, isRecent ? before.latency.buckets : [])
    return `p${q * 100} ${latency(seconds)}`
  })
  return `${health(now.is_up)}; ${events}; ${quantiles.join(', ')}${isRecent ? '' : ' since the start'}`
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}

function age(time: string): string {
  return duration(Math.max(0, (Date.now() - Date.parse(time)) / 1000))
}
