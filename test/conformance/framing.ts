/** Autobahn 1 to 4: lengths, pings and pongs, reserved bits, reserved opcodes (RFC 6455 sections 5.2 and 5.5). */
import { frame } from '../support/raw-socket.ts'
import { BINARY, type Case, goesOn, type Peer, PING, PONG, PROTOCOL_ERROR, TEXT } from './case.ts'

const LENGTHS = [0, 125, 126, 127, 128, 65535, 65536, 65536]
const CHOPPED = 997 // bytes of a write in the last case of each kind

function lengths(group: string, opcode: number, fill: string | number): Case[] {
  return LENGTHS.map((length, i) => {
    const isChopped = i === LENGTHS.length - 1
    return {
      id: `${group}.${i + 1}`,
      what: `a ${opcode === TEXT ? 'text' : 'binary'} message of ${length} bytes${isChopped ? ', chopped' : ''}`,
      play: async (peer) => {
        const data = Buffer.alloc(length, fill)
        peer.chop(isChopped ? CHOPPED : length + 14, frame(opcode, data))
        await peer.message(opcode, data)
        await goesOn(peer)
      },
    }
  })
}

async function answersPings(peer: Peer, payloads: Array<Buffer | string>, size = 1000): Promise<void> {
  for (const payload of payloads) peer.chop(size, frame(PING, payload))
  for (const payload of payloads) await peer.pong(payload)
  await goesOn(peer)
}

async function ignoresPongs(peer: Peer, ...payloads: string[]): Promise<void> {
  peer.send(...payloads.map((payload) => frame(PONG, payload)))
  await answersPings(peer, ['a ping'])
}

async function fails(peer: Peer, bytes: Buffer): Promise<void> {
  peer.send(bytes)
  await peer.closes(PROTOCOL_ERROR)
}

/** A good message, a bad frame, a ping: the echo of the first comes, and nothing of the ping. */
async function failsBehindEcho(peer: Peer, bad: Buffer, size = 1000): Promise<void> {
  peer.chop(size, frame(TEXT, 'hello'), bad, frame(PING))
  await peer.message(TEXT, 'hello')
  await peer.closes(PROTOCOL_ERROR)
}

const TEN = Array.from({ length: 10 }, (_, i) => `ping ${i}`)

const PINGS: Case[] = [
  { id: '2.1', what: 'a ping without payload', play: (peer) => answersPings(peer, ['']) },
  { id: '2.2', what: 'a ping with text', play: (peer) => answersPings(peer, ['hello']) },
  {
    id: '2.3',
    what: 'a ping with bytes',
    play: (peer) => answersPings(peer, [Buffer.from('00fffefdfcfb00ff', 'hex')]),
  },
  { id: '2.4', what: 'a ping with 125 bytes', play: (peer) => answersPings(peer, [Buffer.alloc(125, 254)]) },
  { id: '2.5', what: 'a ping with 126 bytes', play: (peer) => fails(peer, frame(PING, Buffer.alloc(126, 254))) },
  { id: '2.6', what: '125 bytes, byte by byte', play: (peer) => answersPings(peer, [Buffer.alloc(125, 254)], 1) },
  { id: '2.7', what: 'a pong nobody asked for', play: (peer) => ignoresPongs(peer, '') },
  { id: '2.8', what: 'one with payload', play: (peer) => ignoresPongs(peer, 'unasked') },
  { id: '2.9', what: 'several, then a ping', play: (peer) => ignoresPongs(peer, 'unasked', '', 'again') },
  { id: '2.10', what: 'ten pings', play: (peer) => answersPings(peer, TEN) },
  { id: '2.11', what: 'ten pings, byte by byte', play: (peer) => answersPings(peer, TEN, 1) },
]

const RESERVED_BITS: Case[] = [
  { id: '3.1', what: 'RSV 1 on text', play: (peer) => fails(peer, frame(TEXT, 'hello', { rsv: 1 })) },
  { id: '3.2', what: 'RSV 2 behind a message', play: (peer) => failsBehindEcho(peer, frame(TEXT, 'x', { rsv: 2 })) },
  { id: '3.3', what: 'RSV 3, in small writes', play: (peer) => failsBehindEcho(peer, frame(TEXT, 'x', { rsv: 3 }), 9) },
  { id: '3.4', what: 'RSV 4, byte by byte', play: (peer) => failsBehindEcho(peer, frame(TEXT, 'x', { rsv: 4 }), 1) },
  { id: '3.5', what: 'RSV 5 on binary', play: (peer) => fails(peer, frame(BINARY, Buffer.of(0, 255), { rsv: 5 })) },
  { id: '3.6', what: 'RSV 6 on a ping', play: (peer) => fails(peer, frame(PING, 'hello', { rsv: 6 })) },
  { id: '3.7', what: 'RSV 7 on a close', play: (peer) => fails(peer, frame(8, '', { rsv: 7 })) },
]

/** Five opcodes from `first` on, in the five ways of the suite. */
function reservedOpcodes(group: string, first: number): Case[] {
  const what = (i: number): string => `the reserved opcode ${first + i}`
  const ways: Array<(peer: Peer) => Promise<void>> = [
    (peer) => fails(peer, frame(first)),
    (peer) => fails(peer, frame(first + 1, 'payload')),
    (peer) => failsBehindEcho(peer, frame(first + 2)),
    (peer) => failsBehindEcho(peer, frame(first + 3, 'payload')),
    (peer) => failsBehindEcho(peer, frame(first + 4, 'payload'), 1),
  ]
  return ways.map((play, i) => ({ id: `${group}.${i + 1}`, what: what(i), play }))
}

export const FRAMING: Case[] = [
  ...lengths('1.1', TEXT, '*'),
  ...lengths('1.2', BINARY, 254),
  ...PINGS,
  ...RESERVED_BITS,
  ...reservedOpcodes('4.1', 3),
  ...reservedOpcodes('4.2', 11),
]
