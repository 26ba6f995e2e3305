/** Autobahn 7: the closing handshake (RFC 6455 sections 5.5.1, 7.1 and 7.4). */
import { frame } from '../support/raw-socket.ts'
import {
  type Case,
  CLOSE,
  CONTINUATION,
  closePayload,
  goesOn,
  NORMAL,
  NOT_UTF8,
  type Peer,
  PING,
  PROTOCOL_ERROR,
  TEXT,
} from './case.ts'

const MOST_REASON = 123 // bytes

async function closes(peer: Peer, payload: Buffer, ...codes: Array<number | undefined>): Promise<void> {
  peer.send(frame(CLOSE, payload))
  await peer.closes(...codes)
}

/** What follows a close frame is not answered. */
async function ignoresBehind(peer: Peer, ...frames: Buffer[]): Promise<void> {
  peer.send(frame(CLOSE, closePayload(NORMAL)), ...frames)
  await peer.closes(NORMAL)
}

const ORDER: Case[] = [
  {
    id: '7.1.1',
    what: 'a message, then a close',
    play: async (peer) => {
      peer.send(frame(TEXT, 'hello'))
      await peer.message(TEXT, 'hello')
      await goesOn(peer)
    },
  },
  { id: '7.1.2', what: 'two closes', play: (peer) => ignoresBehind(peer, frame(CLOSE, closePayload(NORMAL))) },
  { id: '7.1.3', what: 'a ping behind a close', play: (peer) => ignoresBehind(peer, frame(PING)) },
  { id: '7.1.4', what: 'a text behind a close', play: (peer) => ignoresBehind(peer, frame(TEXT, 'hello')) },
  {
    id: '7.1.5',
    what: 'a close within a message, which ends behind it',
    play: async (peer) => {
      peer.send(frame(TEXT, 'fragment1', { fin: false }))
      await ignoresBehind(peer, frame(CONTINUATION, 'fragment2'))
    },
  },
  {
    id: '7.1.6',
    what: '256 KiB and a text, then a close and a ping: the answers come before the close',
    play: async (peer) => {
      const large = Buffer.alloc(256 * 1024, 'BAsd7&jh23')
      peer.send(frame(TEXT, large), frame(TEXT, 'hello'), frame(CLOSE, closePayload(NORMAL)), frame(PING))
      await peer.message(TEXT, large)
      await peer.message(TEXT, 'hello')
      await peer.closes(NORMAL)
    },
  },
]

const FORMS: Case[] = [
  { id: '7.3.1', what: 'a close without payload', play: (peer) => closes(peer, Buffer.alloc(0), undefined) },
  { id: '7.3.2', what: 'one byte', play: (peer) => closes(peer, Buffer.from('a'), PROTOCOL_ERROR) },
  { id: '7.3.3', what: 'a code alone', play: (peer) => closes(peer, closePayload(NORMAL), NORMAL) },
  {
    id: '7.3.4',
    what: 'a code and a reason',
    play: (peer) => closes(peer, closePayload(NORMAL, 'Hello World!'), NORMAL),
  },
  {
    id: '7.3.5',
    what: 'the longest reason',
    play: (peer) => closes(peer, closePayload(NORMAL, '*'.repeat(MOST_REASON)), NORMAL),
  },
  {
    id: '7.3.6',
    what: 'a reason that is a byte too long',
    play: (peer) => closes(peer, closePayload(NORMAL, '*'.repeat(MOST_REASON + 1)), PROTOCOL_ERROR),
  },
  {
    id: '7.5.1',
    what: 'a reason that is not UTF-8',
    play: (peer) =>
      closes(peer, closePayload(NORMAL, Buffer.from('cebae1bdb9cf83cebceda080656469746564', 'hex')), NOT_UTF8),
  },
]

function codes(group: string, list: number[], expected: (code: number) => number): Case[] {
  return list.map((code, i) => ({
    id: `${group}.${i + 1}`,
    what: `the code ${code}`,
    play: (peer) => closes(peer, closePayload(code), expected(code)),
  }))
}

const GOOD = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
const BAD = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]
const BEYOND = [5000, 65535] // RFC 6455 says nothing of these; the gateway refuses them

export const CLOSING: Case[] = [
  ...ORDER,
  ...FORMS,
  ...codes('7.7', GOOD, (code) => code),
  ...codes('7.9', BAD, () => PROTOCOL_ERROR),
  ...codes('7.13', BEYOND, () => PROTOCOL_ERROR),
]
