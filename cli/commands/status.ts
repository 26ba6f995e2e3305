import { setTimeout as sleep } from 'node:timers/promises'
import type { GatewayStatus } from '../../plugin/gateway/gateway.ts'
import { type Command, print } from './command.ts'
import { GATEWAY_OPTIONS, gatewayOf } from './gateway.ts'
import { counted, table } from './table.ts'

const WATCH_MS = 1000
const UNITS: Array<[number, string]> = [
  [86400, 'd'],
  [3600, 'h'],
  [60, 'min'],
]

type Buckets = GatewayStatus['handler']['latency']['buckets']

const status: Command = {
  usage: '',
  summary:
    'Shows how the gateway is: workers, sockets, what passes in a second, and the handler. It watches for a second.',
  options: GATEWAY_OPTIONS,
  async run(input) {
    const gateway = gatewayOf(input)
    const before = await gateway.status()
    if (input.options.json) return print(JSON.stringify(before))
    const began = performance.now()
    await sleep(WATCH_MS)
    print(describe(before, await gateway.status(), (performance.now() - began) / 1000))
  },
}

/** What people read of two readings that lie some seconds apart. */
export function describe(before: GatewayStatus, now: GatewayStatus, seconds: number): string {
  const rate = (pick: (status: GatewayStatus) => number): string =>
    `${Math.round((pick(now) - pick(before)) / seconds)}/s`
  const rows: Array<[string, string]> = [
    [
      'gateway',
      `${now.node}, version ${now.version}, up ${duration(now.uptime)}, configuration ${now.configuration} for ${age(now.loaded)}`,
    ],
    ['sockets', counted(now.connections, 'socket')],
    ['frames', `${rate(({ frames }) => frames.in)} in, ${rate(({ frames }) => frames.out)} out`],
    [
      'pushes',
      `${rate(({ pushes }) => pushes.requests)}, ${rate(({ pushes }) => pushes.delivered)} delivered, ${counted(now.pushes.dropped, 'frame')} dropped so far`,
    ],
    ['handler', handler(before.handler, now.handler)],
  ]
  if (now.missing_links > 0) rows.push(['links', `${now.missing_links} between workers are missing`])
  return `${rows.map(([name, text]) => `${name.padEnd(9)}${text}`).join('\n')}\n\n${workers(now)}`
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
      `${worker.configuration}${worker.is_leaving ? ' (leaving)' : ''}`,
    ]),
  )
}

/** Latencies are those of the time between the readings, or of all time when there were none. */
function handler(before: GatewayStatus['handler'], now: GatewayStatus['handler']): string {
  const health = now.is_up === null ? 'has not been asked yet' : now.is_up ? 'answers' : 'DOES NOT ANSWER'
  const events = `${counted(now.events, 'event')}, ${counted(now.failures, 'failure')}`
  const recent = now.latency.count > before.latency.count
  const buckets: Buckets = now.latency.buckets.map(([bound, count], i) => [
    bound,
    recent ? count - before.latency.buckets[i]![1] : count,
  ])
  if (now.latency.count === 0) return `${health}; ${events}`
  const quantiles = [0.5, 0.95, 0.99].map((share) => `p${share * 100} ${milliseconds(quantile(buckets, share))}`)
  return `${health}; ${events}; ${quantiles.join(', ')}${recent ? '' : ' since the start'}`
}

/** The upper bound of the bucket in which a share of all values is reached: seconds; Infinity beyond the last bound. */
export function quantile(buckets: Buckets, share: number): number {
  const [, all] = buckets.at(-1)!
  const [bound] = buckets.find(([, count]) => count >= all * share)!
  return bound === '+Inf' ? Infinity : bound
}

function milliseconds(seconds: number): string {
  return seconds === Infinity ? 'longer than is measured' : `≤ ${Number((seconds * 1000).toPrecision(3))} ms`
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}

function age(time: string): string {
  return duration(Math.max(0, (Date.now() - Date.parse(time)) / 1000))
}

function duration(seconds: number): string {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit}`
}

export const statusCommands: Record<string, Command> = { status }
