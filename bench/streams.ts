/** The section streams: what answers that stream cost the sockets beside them, and how soon their first frame comes. */
import { on, once } from 'node:events'
import { WebSocket } from 'ws'
import { NO_PINGS, startTopicGateway, type TopicGateway } from './gateways.ts'
import { hold, release } from './holding.ts'
import { measureLoad } from './load.ts'
import type { Options } from './options.ts'
import type { Row } from './table.ts'

const SOCKETS = 500
const FIRST_FRAMES = 300
/** Goals: the p99 of others at most doubles, and a first frame comes within 5 ms. */
const MOST_PERCENT = 200
const MOST_MICROSECONDS = 5000

export async function measureStreams(options: Options): Promise<Row[]> {
  const gateway = await startTopicGateway(NO_PINGS)
  const alone: number[] = []
  const beside: number[] = []
  const first: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    first.push(await firstFrame(gateway))
    alone.push(await latency(gateway, options))
    const streaming = await hold(gateway, SOCKETS, { path: '/ws/stream', asks: true })
    beside.push(await latency(gateway, options))
    await release(streaming)
  }
  await gateway.stop()
  const row = (figure: string, values: number[], limit?: number): Row => ({
    section: `${SOCKETS} sockets that stream, 10 frames a second each`,
    figure,
    digits: 0,
    rounds: { framegate: values },
    ...(limit === undefined ? {} : { limit }),
  })
  const shares = beside.map((value, round) => (value / alone[round]!) * 100)
  return [
    row(`latency p99 of ${SOCKETS} others, µs`, beside),
    row('… without the streams, µs', alone),
    row('… beside the streams, % of that without', shares, MOST_PERCENT),
    row('p99 of a first frame after the handler has made it, on a quiet gateway, µs', first, MOST_MICROSECONDS),
  ]
}

/** The 99th percentile of round trips of sockets that send in a closed loop, in microseconds. */
async function latency(gateway: TopicGateway, options: Options): Promise<number> {
  const { p99 } = await measureLoad({ ...gateway, path: '/ws/plain' }, { sockets: SOCKETS }, options)
  return p99
}

/** The 99th percentile of the time from the handler's `yield` to the client, in microseconds. */
async function firstFrame(gateway: TopicGateway): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/ws/first`)
  await once(socket, 'open')
  const frames = on(socket, 'message')
  const times: number[] = []
  for (let i = 0; i < FIRST_FRAMES; i++) {
    socket.send('x')
    const { value } = await frames.next()
    times.push(Number(process.hrtime.bigint() - BigInt(String(value![0]))) / 1000)
    await frames.next()
  }
  socket.terminate()
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length * 0.99)]!
}
