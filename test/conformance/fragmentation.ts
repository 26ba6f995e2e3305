/** Autobahn 5: messages in fragments, and what may not stand between them (RFC 6455 section 5.4). */
import { frame } from '../support/raw-socket.ts'
import { type Case, CONTINUATION, fragments, goesOn, type Peer, PING, PONG, PROTOCOL_ERROR, TEXT } from './case.ts'

/** How the bytes of a case go out: all in one write, a frame in each, or a byte in each. */
type Way = (peer: Peer, frames: Buffer[]) => void

const WAYS: Record<string, Way> = {
  'in one write': (peer, frames) => peer.send(...frames),
  'frame by frame': (peer, frames) => {
    for (const one of frames) peer.send(one)
  },
  'byte by byte': (peer, frames) => peer.chop(1, ...frames),
}

/** Three cases from `first` on: the same frames in each way. */
function threeWays(first: number, what: string, frames: Buffer[], expects: (peer: Peer) => Promise<void>): Case[] {
  return Object.entries(WAYS).map(([way, send], i) => ({
    id: `5.${first + i}`,
    what: `${what}, ${way}`,
    play: async (peer) => {
      send(peer, frames)
      await expects(peer)
    },
  }))
}

async function fails(peer: Peer): Promise<void> {
  await peer.closes(PROTOCOL_ERROR)
}

const TWO = fragments(TEXT, ['fragment1', 'fragment2'])

const FIVE = fragments(TEXT, ['fragment1', 'fragment2', 'fragment3', 'fragment4', 'fragment5'])
const WHOLE_FIVE = 'fragment1fragment2fragment3fragment4fragment5'

async function pingsBetween(peer: Peer, betweenPings: () => Promise<void>): Promise<void> {
  peer.send(...FIVE.slice(0, 2), frame(PING, 'first'))
  await betweenPings()
  peer.send(...FIVE.slice(2, 4), frame(PING, 'second'), FIVE[4]!)
}

function nothingToContinue(fin: boolean): Buffer[] {
  return [frame(CONTINUATION, 'non-continuation payload', { fin }), frame(TEXT, 'hello')]
}

/** A continuation that continues nothing before each message in two fragments. */
function looseBefore(fin: boolean): Buffer[] {
  return [frame(CONTINUATION, 'fragment1', { fin }), ...fragments(TEXT, ['fragment2', 'fragment3'])]
}

export const FRAGMENTATION: Case[] = [
  {
    id: '5.1',
    what: 'a ping in two fragments',
    play: async (peer) => {
      peer.send(...fragments(PING, ['fragment1', 'fragment2']))
      await fails(peer)
    },
  },
  {
    id: '5.2',
    what: 'a pong in two fragments',
    play: async (peer) => {
      peer.send(...fragments(PONG, ['fragment1', 'fragment2']))
      await fails(peer)
    },
  },
  ...threeWays(3, 'text in two fragments', TWO, async (peer) => {
    await peer.message(TEXT, 'fragment1fragment2')
    await goesOn(peer)
  }),
  ...threeWays(6, 'a ping between two fragments', [TWO[0]!, frame(PING, 'ping'), TWO[1]!], async (peer) => {
    await peer.pong('ping')
    await peer.message(TEXT, 'fragment1fragment2')
    await goesOn(peer)
  }),
  ...threeWays(9, 'a last continuation of nothing', nothingToContinue(true), fails),
  ...threeWays(12, 'a continuation of nothing', nothingToContinue(false), fails),
  {
    id: '5.15',
    what: 'two fragments, then a continuation of nothing',
    play: async (peer) => {
      peer.send(...TWO, frame(CONTINUATION, 'fragment3', { fin: false }), frame(TEXT, 'fragment4'))
      await peer.message(TEXT, 'fragment1fragment2')
      await fails(peer)
    },
  },
  {
    id: '5.16',
    what: 'a continuation of nothing before two fragments, twice',
    play: async (peer) => {
      peer.send(...looseBefore(false), ...looseBefore(false))
      await fails(peer)
    },
  },
  {
    id: '5.17',
    what: 'a last continuation of nothing before two fragments, twice',
    play: async (peer) => {
      peer.send(...looseBefore(true), ...looseBefore(true))
      await fails(peer)
    },
  },
  {
    id: '5.18',
    what: 'a second fragment that says text, too',
    play: async (peer) => {
      peer.send(frame(TEXT, 'fragment1', { fin: false }), frame(TEXT, 'fragment2'))
      await fails(peer)
    },
  },
  {
    id: '5.19',
    what: 'five fragments with two pings, each answered before the rest is sent',
    play: async (peer) => {
      await pingsBetween(peer, () => peer.pong('first'))
      await peer.pong('second')
      await peer.message(TEXT, WHOLE_FIVE)
      await goesOn(peer)
    },
  },
  {
    id: '5.20',
    what: 'five fragments with two pings, all at once',
    play: async (peer) => {
      await pingsBetween(peer, async () => {})
      await peer.pong('first')
      await peer.pong('second')
      await peer.message(TEXT, WHOLE_FIVE)
      await goesOn(peer)
    },
  },
]
