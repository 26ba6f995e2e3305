/** Messages as permessage-deflate writes them (RFC 7692 section 7.2), for tests that hold the bytes in their hands. */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Gateway } from './gateway.ts'
import { type Frame, frame, type RawSocket, rawSocket } from './raw-socket.ts'

const TAIL = Buffer.from([0, 0, 0xff, 0xff])
const RSV1 = 4

/** What a client offers that wants compression, as browsers do. */
export const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }

/** The payload of a compressed message. */
export function deflated(message: Buffer | string): Buffer {
  return deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -TAIL.length)
}

/** A masked frame of a client: a whole message, or the first frame of one. */
export function deflatedFrame(opcode: number, payload: Buffer, fin = true): Buffer {
  return frame(opcode, payload, { fin, rsv: RSV1 })
}

export function isCompressed({ rsv }: Frame): boolean {
  return (rsv & RSV1) !== 0
}

/** The message in a frame of the gateway, compressed or not. */
export function messageOf(received: Frame): Buffer {
  if (!isCompressed(received)) return received.payload
  return inflateRawSync(Buffer.concat([received.payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH })
}

/** A text of some length that deflate makes shorter. */
export function json(bytes: number): string {
  let text = '['
  for (let i = 0; text.length < bytes; i++) text += `{"id":${i * 7919},"text":"κόσμε ${i}"},`
  return text
}

/** Bytes that deflate cannot make shorter; the same each time. */
export function noise(bytes: number): Buffer {
  let value = 1
  return Buffer.from(Array.from({ length: bytes }, () => (value = (value * 16807) % 2147483647) & 255))
}

/** A socket that echoes, and its answer to the offers. */
export async function offer(gateway: Gateway, offers: string): Promise<{ raw: RawSocket; answer: string | undefined }> {
  const raw = await rawSocket(gateway.port, '/ws/echo', { headers: { 'Sec-WebSocket-Extensions': offers } })
  return { raw, answer: raw.headers['sec-websocket-extensions'] }
}
