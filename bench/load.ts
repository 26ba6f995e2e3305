/** Sockets that send in a closed loop: each sends the next message when it has the answer to the last one. */
import { join } from 'node:path'
import { handshakeOf, PAYLOAD } from './client-bytes.ts'
import { type Key, NAMES } from './gateways.ts'
import type { Options } from './options.ts'
import { processorTime } from './proc.ts'
import { ended, message, startLua } from './processes.ts'
import type { Row } from './table.ts'

/** Time for the close events of the previous round's connections. */
const SETTLE_MS = 200

/** Whom the sockets talk to. */
export type Target = {
  key: Key
  port: number
  pid: number
  /** The process that answers behind a gateway. */
  handlerPid?: number
  /** By default /ws/echo. */
  path?: string
  /** Whether this is a port for TLS. */
  tls?: boolean
}

export type Load = {
  sockets: number
  /** Text of which the answer has as many bytes. */
  payload?: string
}

/** The task of load-client.lua. */
type Task = {
  port: number
  sockets: number
  warmUp: number
  seconds: number
  handshake: string
  payload: string
  tls: boolean
}
type Result = { frames: number; seconds: number; joins: number; p50: number; p99: number; processorTime: number }

/** Latencies in µs, processor times in µs a frame; `joins` are handshakes a second, one after the other. */
export type Figures = Record<
  'perSecond' | 'joins' | 'p50' | 'p99' | 'gateway' | 'handler' | 'client' | 'clientShare',
  number
>
export type Sample = Figures & { hasHandler: boolean }
export type Rounds = Partial<Record<Key, Sample[]>>

/** Measures one round. Without a handler, its time is 0. */
export async function measureLoad(target: Target, { sockets, payload }: Load, options: Options): Promise<Sample> {
  const task: Task = {
    port: target.port,
    sockets,
    warmUp: options.warmUp,
    seconds: options.seconds,
    handshake: handshakeOf(target.path ?? '/ws/echo'),
    payload: payload ?? PAYLOAD.toString(),
    tls: target.tls ?? false,
  }
  const times = () => [target.pid, target.handlerPid].map((pid) => (pid === undefined ? 0 : processorTime(pid)))
  const client = startLua(`the load client of ${NAMES[target.key]}`, join(import.meta.dirname, 'load-client.lua'), task)
  await message(client)
  const before = times()
  const result = await message<Result>(client)
  const [gateway, handler] = times().map((time, i) => time - before[i]!) as [number, number]
  await ended(client)
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  return {
    perSecond: result.frames / result.seconds,
    joins: result.joins,
    p50: result.p50,
    p99: result.p99,
    gateway: gateway / result.frames,
    handler: handler / result.frames,
    client: result.processorTime / result.frames,
    clientShare: (result.processorTime / result.seconds / 1e6) * 100,
    hasHandler: target.handlerPid !== undefined,
  }
}

/** Processor time of gateway and handler for one message, in µs. */
export async function timeOfMessage(target: Target, sockets: number, options: Options): Promise<number> {
  const { gateway, handler } = await measureLoad(target, { sockets }, options)
  return gateway + handler
}

/** Measures all targets with each load in every round. The targets take turns, so a disturbance affects all of them. */
export async function measureRounds(targets: Target[], loads: Load[], options: Options): Promise<Rounds[]> {
  const cells = loads.map((): Rounds => ({}))
  for (let round = 0; round < options.rounds; round++) {
    for (const [i, load] of loads.entries()) {
      for (const target of turn(targets, round)) {
        const samples = (cells[i]![target.key] ??= [])
        samples.push(await measureLoad(target, load, options))
      }
    }
  }
  return cells
}

export function turn<T>(list: T[], round: number): T[] {
  return list.map((_, i) => list[(i + round) % list.length]!)
}

/** Makes rows of one section. Who has no handler is not in the rows about it. */
export function rowMaker(section: string, rounds: Rounds) {
  return (figure: string, field: keyof Figures, digits: number, more: Partial<Row> = {}): Row => ({
    section,
    figure,
    digits,
    rounds: Object.fromEntries(
      Object.entries(rounds)
        .filter(([, samples]) => field !== 'handler' || samples.every(({ hasHandler }) => hasHandler))
        .map(([key, samples]) => [key, samples.map((sample) => sample[field])]),
    ),
    ...more,
  })
}
