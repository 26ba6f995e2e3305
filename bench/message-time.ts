/** What one message costs, from its client to its client. */
import { join } from 'node:path'
import { handshakeOf, PAYLOAD, textFrame } from './client-bytes.ts'
import type { Load, Result } from './frames.ts'
import type { TopicGateway } from './gateways.ts'
import { processorTime } from './proc.ts'
import { ended, message, startLua } from './processes.ts'

export type Messages = { path: string; sockets: number; seconds: number }

/** Processor time of gateway and handler for one message to this path, in microseconds. */
export async function timeOfMessage(gateway: TopicGateway, { path, sockets, seconds }: Messages): Promise<number> {
  const load: Load = {
    port: gateway.port,
    sockets,
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
