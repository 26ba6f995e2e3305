/** Everything that a handler can do wrong with one request. */
import type { Socket } from 'node:net'
import type { Fate } from './ledger.ts'
import { pause, type Random } from './random.ts'
import {
  CHUNKS,
  DOCUMENTS,
  ENDED,
  HEADERS,
  HI,
  INTERIM,
  KEPT,
  LATER,
  LENGTHS,
  OK,
  UNFINISHED,
} from './wrong-answers.ts'

/** The handler's side of one connection. Writing to one that has ended does nothing. */
export type Wire = Pick<Socket, 'write' | 'end' | 'resetAndDestroy' | 'destroyed' | 'writableNeedDrain'>

export type Fault = {
  name: string
  fate: Fate
  /** Whether the gateway may have to wait for HANDLER_TIMEOUT. */
  mayTimeOut?: true
  /** Returns whether the connection is good for another request. */
  play: (wire: Wire, random: Random) => boolean | Promise<boolean>
}

const HUGE = 1_500_000
const DRIP_MS = 2000

/**
 * Says one of these texts. Whoever ends a connection behind an answer that keeps it (RFC 9112 section 9.3) may meet the next
 * request there, so none of those is ended.
 */
function says(name: string, fate: Fate, texts: string[], isKept: boolean): Fault {
  return {
    name,
    fate,
    play: (wire, random) => {
      wire.write(random.pick(texts))
      if (!isKept) wire.end()
      return isKept
    },
  }
}

/** Writes a text character by character, and what is left after a time that HANDLER_TIMEOUT allows, on a slow machine too. */
async function drip(wire: Wire, text: string, ms: number): Promise<void> {
  const ends = performance.now() + DRIP_MS
  let written = 0
  for (; written < text.length - 1 && performance.now() < ends; written++) {
    if (wire.destroyed) return
    wire.write(text[written]!)
    await pause(ms)
  }
  wire.write(text.slice(written))
}

/** Writes for as long as the other side takes it. */
async function endless(wire: Wire, piece: Buffer, ms: number): Promise<boolean> {
  while (!wire.destroyed) {
    if (!wire.writableNeedDrain) wire.write(piece)
    await pause(ms)
  }
  return false
}

const SILENCE: Fault[] = [
  { name: 'never answers', fate: 'broken', mayTimeOut: true, play: () => false },
  says('closes without an answer', 'broken', [''], false),
  {
    name: 'resets',
    fate: 'broken',
    play: (wire, random) => {
      if (random.chance(0.5)) wire.write(random.pick(['HTTP', OK, `${OK}content-length: 10\r\n\r\nhalf`]))
      wire.resetAndDestroy()
      return false
    },
  },
  says('ends half-way', 'broken', ['HTTP/1.1 20', OK, `${OK}content-length: 10\r\n\r\nhalf`], false),
  {
    name: 'halts half-way',
    fate: 'broken',
    mayTimeOut: true,
    play: (wire) => {
      wire.write(`${OK}content-length: 10\r\n\r\nhalf`)
      return false
    },
  },
]

const SLOW: Fault[] = [
  {
    name: 'drips an answer',
    fate: 'odd',
    play: async (wire) => {
      await drip(wire, `${OK}${HI}`, 10)
      return true
    },
  },
  {
    name: 'drips headers without end',
    fate: 'broken',
    mayTimeOut: true,
    play: (wire) => {
      wire.write(`${OK}x: `)
      return endless(wire, Buffer.from('x'), 200)
    },
  },
  {
    name: 'drips a body without end',
    fate: 'broken',
    mayTimeOut: true,
    play: (wire) => {
      wire.write(`${OK}\r\n`)
      return endless(wire, Buffer.from('x'), 200)
    },
  },
]

const ODD: Fault[] = [
  says('an odd status line', 'odd', KEPT, true),
  says('an odd status line, then the end', 'odd', ENDED, false),
  says('an interim answer', 'odd', INTERIM, true),
  says('a wrong length', 'odd', LENGTHS, true),
  says('wrong chunks', 'odd', CHUNKS, true),
  says('odd headers', 'odd', HEADERS, true),
  says('a wrong document', 'odd', DOCUMENTS, true),
  says('two answers to one request', 'odd', [`${OK}${HI}${OK}content-length: 5\r\n\r\nstray`], true),
  says('101', 'odd', ['HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'], true),
  { ...says('an answer that has no end', 'odd', UNFINISHED, true), mayTimeOut: true },
  says('bytes that are no HTTP, then the end', 'odd', ['\xff\xfe\0', '220 smtp\r\n'], false),
  says('until the end of the connection', 'odd', [`${OK}\r\nhi`, 'HTTP/1.0 200 OK\r\n\r\nhi'], false),
]

const HUGE_ONES: Fault[] = [
  {
    name: 'a huge body',
    fate: 'odd',
    play: (wire) => {
      wire.write(`${OK}content-length: ${HUGE}\r\n\r\n`)
      wire.write(Buffer.alloc(HUGE, 'x'))
      return true
    },
  },
  {
    name: 'huge headers',
    fate: 'odd',
    play: (wire) => wire.write(`${OK}x: ${'x'.repeat(100_000)}\r\n${HI}`) || true,
  },
  {
    name: 'a body without end, as fast as it is read',
    fate: 'odd',
    mayTimeOut: true,
    play: (wire) => {
      wire.write(`${OK}\r\n`)
      return endless(wire, Buffer.alloc(65536, 'x'), 1)
    },
  },
]

/** Faults of an answer to a single event. */
export const FAULTS: Fault[] = [
  ...SILENCE,
  ...SLOW,
  ...ODD,
  ...HUGE_ONES,
  says('503 with retry-after', 'again', LATER, true),
]
