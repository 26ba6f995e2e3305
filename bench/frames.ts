/**
 * The section frames: sockets send in a closed loop through each gateway.
 * The gateways take turns, so a disturbance affects all of them.
 */
import { join } from 'node:path'
import { HANDSHAKE, PAYLOAD, textFrame } from './client-bytes.ts'
import { type Bench, type Gateway, type Key, NAMES, startGateways } from './gateways.ts'
import type { Options } from './options.ts'
import { processorTime } from './proc.ts'
import { ended, message, startLua } from './processes.ts'
import type { Row } from './table.ts'

/** Time for the close events of the previous round's connections. */
const SETTLE_MS = 200
const WARM_UP_SECONDS = 1

type Goal = { perSecond?: { middle: number; capture: number }; p50?: { middle: number } }
const GOALS: Record<number, Goal> = {
  1: { p50: { middle: 1 } },
  64: { perSecond: { middle: 2.2, capture: 3.5 } },
  512: { perSecond: { middle: 3.5, capture: 5 } },
}

/** The task of load-client.lua. The frame is a list of its bytes, because JSON has no byte strings. */
export type Load = {
  port: number
  sockets: number
  warmUp: number
  seconds: number
  handshake: string
  frame: number[]
  payloadBytes: number
}
export type Result = { frames: number; seconds: number; p50: number; p99: number; processorTime: number }
type Sample = Record<'perSecond' | 'p50' | 'p99' | 'gateway' | 'handler' | 'client' | 'clientShare', number>
type Rounds = Record<Key, Sample[]>

export async function measureFrames(options: Options): Promise<Row[]> {
  const bench = await startGateways()
  const cells = new Map(
    options.sockets.map((sockets): [number, Rounds] => [sockets, { framegate: [], middle: [], capture: [] }]),
  )
  for (let round = 0; round < options.rounds; round++) {
    for (const [sockets, rounds] of cells) {
      for (const gateway of turn(bench.gateways, round)) {
        rounds[gateway.key].push(await measure(bench, gateway, sockets, options.seconds))
      }
    }
  }
  await bench.stop()
  return [...cells].flatMap(([sockets, rounds]) => rowsOf(sockets, rounds))
}

function turn<T>(list: T[], round: number): T[] {
  return list.map((_, i) => list[(i + round) % list.length]!)
}

async function measure(bench: Bench, gateway: Gateway, sockets: number, seconds: number): Promise<Sample> {
  const load: Load = {
    port: gateway.port,
    sockets,
    warmUp: WARM_UP_SECONDS,
    seconds,
    handshake: HANDSHAKE,
    frame: [...textFrame()],
    payloadBytes: PAYLOAD.length,
  }
  const client = startLua(
    `the load client of ${NAMES[gateway.key]}`,
    join(import.meta.dirname, 'load-client.lua'),
    load,
  )
  await message(client)
  const gatewayBefore = processorTime(gateway.pid)
  const handlerBefore = processorTime(bench.handler.pid!)
  const result = await message<Result>(client)
  const gatewayTime = processorTime(gateway.pid) - gatewayBefore
  const handlerTime = processorTime(bench.handler.pid!) - handlerBefore
  await ended(client)
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  return {
    perSecond: result.frames / result.seconds,
    p50: result.p50,
    p99: result.p99,
    gateway: gatewayTime / result.frames,
    handler: handlerTime / result.frames,
    client: result.processorTime / result.frames,
    clientShare: (result.processorTime / result.seconds / 1e6) * 100,
  }
}

function rowsOf(sockets: number, rounds: Rounds): Row[] {
  const goal = GOALS[sockets] ?? {}
  const row = (figure: string, field: keyof Sample, digits: number, more: Partial<Row> = {}): Row => ({
    section: `${sockets} socket${sockets === 1 ? '' : 's'}`,
    figure,
    digits,
    rounds: {
      framegate: rounds.framegate.map((sample) => sample[field]),
      middle: rounds.middle.map((sample) => sample[field]),
      capture: rounds.capture.map((sample) => sample[field]),
    },
    ...more,
  })
  return [
    row('frames/s', 'perSecond', 0, { atLeast: goal.perSecond }),
    row('latency p50, µs', 'p50', 0, { atMost: goal.p50 }),
    row('latency p99, µs', 'p99', 0),
    row('processor time of the gateway, µs a frame', 'gateway', 1),
    row('… of the handler, µs a frame', 'handler', 1),
    row('… of the load client, µs a frame', 'client', 1, { noRatio: true }),
    row('… of the load client, % of one processor', 'clientShare', 0, { noRatio: true }),
  ]
}
