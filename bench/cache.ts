/** The section cache: what a message costs that gets a kept answer, beside one that becomes an event. */
import { join } from 'node:path'
import { handshakeOf, PAYLOAD, textFrame } from './client-bytes.ts'
import type { Load, Result } from './frames.ts'
import { NO_PINGS, startTopicGateway, type TopicGateway } from './gateways.ts'
import type { Options } from './options.ts'
import { processorTime } from './proc.ts'
import { ended, message, startLua } from './processes.ts'
import type { Row } from './table.ts'

const SOCKETS = 64
const LOCATIONS = 'location = /ws/cached { set $ws_cache on; include socket.conf; }\n'
/** Goal: a kept answer costs less than a third of an event. */
const MOST_PERCENT = 33

export async function measureCache(options: Options): Promise<Row[]> {
  const gateway = await startTopicGateway(NO_PINGS, LOCATIONS)
  const events: number[] = []
  const kept: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    events.push(await measure(gateway, '/ws/plain', options.seconds))
    kept.push(await measure(gateway, '/ws/cached', options.seconds))
  }
  await gateway.stop()
  const row = (figure: string, values: number[], more: Partial<Row> = {}): Row => ({
    section: `${SOCKETS} sockets that ask the same`,
    figure,
    digits: 1,
    rounds: { framegate: values },
    ...more,
  })
  const shares = kept.map((time, round) => (time / events[round]!) * 100)
  return [
    row('processor time of gateway and handler, µs an event', events),
    row('… µs a kept answer', kept),
    row('a kept answer, % of an event', shares, { limit: MOST_PERCENT }),
  ]
}

/** Processor time of gateway and handler for one message to this path, in microseconds. */
async function measure(gateway: TopicGateway, path: string, seconds: number): Promise<number> {
  const load: Load = {
    port: gateway.port,
    sockets: SOCKETS,
    warmUp: 1,
    seconds,
    handshake: handshakeOf(path),
    frame: [...textFrame()],
    payloadBytes: PAYLOAD.length,
  }
  const client = startLua('the load client', join(import.meta.dirname, 'load-client.lua'), load)
  await message(client)
  const before = processorTime(gateway.pid) + processorTime(gateway.handler.pid!)
  const result = await message<Result>(client)
  const time = processorTime(gateway.pid) + processorTime(gateway.handler.pid!) - before
  await ended(client)
  return time / result.frames
}
