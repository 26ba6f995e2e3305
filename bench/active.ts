/**
 * The section active: few sockets of one event each second, while all others are idle. What a gateway does for sockets
 * that do nothing shows here.
 */
import { join } from 'node:path'
import { HANDSHAKE, PAYLOAD } from './client-bytes.ts'
import { type Gateway, NAMES, NO_PINGS, startGateways } from './gateways.ts'
import { checkOpenFiles, hold, release } from './holding.ts'
import { turn } from './load.ts'
import type { Options } from './options.ts'
import { processorTime } from './proc.ts'
import { ended, message, startLua } from './processes.ts'
import type { Row } from './table.ts'

const SOCKETS = 16
/** Time for what the gateways do after the idle sockets were opened. */
const SETTLE_MS = 2000

/** The task of steady-client.lua. */
type Task = { port: number; sockets: number; warmUp: number; seconds: number; handshake: string; payload: string }
type Result = Record<'frames' | 'seconds' | 'p50' | 'p99', number>
type Figures = Record<'gateway' | 'handler' | 'p50' | 'p99', Row['rounds']>

export async function measureActive(options: Options): Promise<Row[]> {
  checkOpenFiles(options.others)
  const quiet = await startGateways(['framegate', 'middle', 'bare'], NO_PINGS)
  const pinging = await startGateways(['framegate'])
  const gateways = [...quiet.gateways, { ...pinging.gateways[0]!, key: 'pinging' as const }]
  const holders = []
  for (const gateway of gateways) holders.push(...(await hold(gateway, options.others)))
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  const figures: Figures = { gateway: {}, handler: {}, p50: {}, p99: {} }
  for (let round = 0; round < options.rounds; round++) {
    for (const gateway of turn(gateways, round)) {
      for (const [name, value] of Object.entries(await measure(gateway, options)))
        (figures[name as keyof Figures][gateway.key] ??= []).push(value)
    }
  }
  await release(holders)
  await quiet.stop()
  await pinging.stop()
  return rowsOf(options.others, figures)
}

/** Processor times in ms a second, latencies in µs. */
async function measure(gateway: Gateway, options: Options): Promise<Partial<Record<keyof Figures, number>>> {
  const task: Task = {
    port: gateway.port,
    sockets: SOCKETS,
    warmUp: options.warmUp,
    seconds: options.seconds,
    handshake: HANDSHAKE,
    payload: PAYLOAD.toString(),
  }
  const times = () => [gateway.pid, ...(gateway.handlerPid ? [gateway.handlerPid] : [])].map(processorTime)
  const client = startLua(`the client of ${NAMES[gateway.key]}`, join(import.meta.dirname, 'steady-client.lua'), task)
  await message(client)
  const before = times()
  const result = await message<Result>(client)
  const [spent, handler] = times().map((time, i) => (time - before[i]!) / 1000 / result.seconds)
  await ended(client)
  return { gateway: spent!, ...(handler !== undefined && { handler }), p50: result.p50, p99: result.p99 }
}

function rowsOf(others: number, { gateway, handler, p50, p99 }: Figures): Row[] {
  const section = `${SOCKETS} sockets of one event each second, ${others.toLocaleString('en')} others idle`
  return [
    { section, figure: 'processor time of the gateway, ms a second', rounds: gateway, digits: 2 },
    { section, figure: '… of the handler, ms a second', rounds: handler, digits: 2 },
    { section, figure: 'latency p50, µs', rounds: p50, digits: 0 },
    { section, figure: 'latency p99, µs', rounds: p99, digits: 0 },
  ]
}
