/** What chaotic clients send on an open socket, and the check of what any client gets. */
import { isUtf8 } from 'node:buffer'
import { messageOf } from '../support/deflate.ts'
import { type Frame, frame } from '../support/raw-socket.ts'
import type { Random } from './random.ts'

const RSV1 = 4
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]

export const MAX_MESSAGE = 65536 // MAX_MESSAGE_BYTES of the gateway under test

function closeFrame(random: Random): Buffer {
  const code = Buffer.alloc(2)
  code.writeUInt16BE(random.pick([1000, 1001, 1005, 1006, 1015, 3000, 4999, 5000, 0, 65535]))
  return frame(CLOSE, random.pick([Buffer.alloc(0), code, Buffer.concat([code, Buffer.from('reason')]), Buffer.of(3)]))
}

function message(random: Random): Buffer {
  return random.chance(0.5)
    ? frame(TEXT, random.text(random.size(2000)))
    : frame(BINARY, random.bytes(random.size(2000)))
}

function inFragments(random: Random): Buffer {
  const text = random.text(random.size(500))
  const parts = random.cut(Buffer.from(text))
  return Buffer.concat(
    parts.flatMap((part, i) => [
      frame(i === 0 ? TEXT : CONTINUATION, part, { fin: i === parts.length - 1 }),
      ...(random.chance(0.2) ? [frame(PING, 'between')] : []),
    ]),
  )
}

const GOOD: Array<(random: Random) => Buffer> = [
  message,
  message,
  message,
  inFragments,
  (random) => frame(PING, random.bytes(random.int(0, 125))),
  (random) => frame(PONG, random.bytes(random.int(0, 125))),
  () => frame(TEXT),
  () => frame(BINARY),
  () => frame(BINARY, Buffer.alloc(MAX_MESSAGE, 1)),
  (random) => Buffer.concat(Array.from({ length: random.int(2, 150) }, () => message(random))),
  () => Buffer.concat(Array.from({ length: 500 }, () => frame(PING))),
]

const BAD: Array<(random: Random) => Buffer> = [
  closeFrame,
  (random) => frame(random.int(3, 15), random.bytes(random.size(200))),
  (random) => frame(TEXT, 'x', { rsv: random.int(1, 7) }),
  () => frame(TEXT, 'unmasked', { masked: false }),
  () => frame(TEXT, 'hi', { bits: 16 }),
  () => frame(TEXT, 'hi', { bits: 64 }),
  () => frame(PING, Buffer.alloc(126)),
  () => frame(PING, '', { fin: false }),
  () => frame(CONTINUATION, 'loose'),
  () => Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')]),
  () => frame(TEXT, Buffer.of(0xff, 0xfe)),
  () => frame(BINARY, Buffer.alloc(MAX_MESSAGE + 1)),
  () => Buffer.from('82ffffffffffffffffff01020304', 'hex'), // a length of 2^64 - 1
  () => Buffer.from('82ff000001000000000001020304', 'hex'), // of 2^40
  (random) => random.bytes(random.int(1, 400)),
  () => Buffer.concat([frame(TEXT, 'x', { fin: false }), ...Array(300).fill(frame(CONTINUATION, '', { fin: false }))]),
  () => frame(TEXT, 'x'.repeat(1000)).subarray(0, 500),
]

/** The bytes of one step of a client: most are right, and one in ten is not. */
export function someFrames(random: Random): Buffer {
  return random.pick(random.chance(0.1) ? BAD : GOOD)(random)
}

function contentOf(got: Frame): Buffer | undefined {
  try {
    return messageOf(got)
  } catch {
    return undefined
  }
}

const SENDABLE = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]

/** What is wrong with a frame of the gateway by RFC 6455; undefined when it is right. `compresses`: RFC 7692 was agreed on. */
export function defectOf(got: Frame, compresses = false): string | undefined {
  const { fin, rsv, opcode } = got
  const isMessage = opcode === TEXT || opcode === BINARY
  if (rsv !== 0 && !(rsv === RSV1 && compresses && isMessage)) return `reserved bits ${rsv}`
  const payload = contentOf(got)
  if (!payload) return 'what is no deflate data'
  if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) return `opcode ${opcode}`
  if (opcode >= CLOSE && (!fin || payload.length > 125)) return `a control frame of ${payload.length} bytes, fin ${fin}`
  if (opcode === TEXT && fin && !isUtf8(payload)) return 'text that is not UTF-8'
  if (opcode !== CLOSE || payload.length === 0) return undefined
  const code = payload.length === 1 ? 0 : payload.readUInt16BE(0)
  if (!SENDABLE.includes(code) && (code < 3000 || code > 4999)) return `close code ${code}`
  return isUtf8(payload.subarray(2)) ? undefined : 'a close reason that is not UTF-8'
}
