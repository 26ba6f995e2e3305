/** Autobahn 9 and 10: sizes, fragments and chops, many messages. Its counts of messages are 1,000, here they are less. */
import { frame } from '../support/raw-socket.ts'
import { BINARY, type Case, fragments, goesOn, type Peer, pieces, TEXT } from './case.ts'

const KIB = 1024
const MIB = 1024 * KIB
const MESSAGES = 100

function dataOf(length: number): Buffer {
  return Buffer.alloc(length, 'abcdefghijklmnop')
}

async function echoes(peer: Peer, opcode: number, data: Buffer, frames: Buffer[], chop = 64 * KIB): Promise<void> {
  peer.chop(chop, ...frames)
  await peer.message(opcode, data)
  await goesOn(peer)
}

type Kind = { opcode: number; name: string }

const KINDS: Kind[] = [
  { opcode: TEXT, name: 'text' },
  { opcode: BINARY, name: 'binary' },
]

function bothKinds(first: number, cases: (kind: Kind, group: string) => Case[]): Case[] {
  return KINDS.flatMap((kind, i) => cases(kind, `9.${first + i}`))
}

const SIZES = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB]

function sizes({ opcode, name }: Kind, group: string): Case[] {
  return SIZES.map((size, i) => ({
    id: `${group}.${i + 1}`,
    what: `a ${name} message of ${size / KIB} KiB`,
    play: (peer) => echoes(peer, opcode, dataOf(size), [frame(opcode, dataOf(size))]),
  }))
}

const FRAGMENT_SIZES = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB]

function inFragments({ opcode, name }: Kind, group: string): Case[] {
  return FRAGMENT_SIZES.map((size, i) => ({
    id: `${group}.${i + 1}`,
    what: `a ${name} message of 4 MiB in fragments of ${size} bytes`,
    play: (peer) => echoes(peer, opcode, dataOf(4 * MIB), fragments(opcode, pieces(dataOf(4 * MIB), size))),
  }))
}

const CHOPS = [64, 128, 256, 512, 1024, 2048]

function inChops({ opcode, name }: Kind, group: string): Case[] {
  return CHOPS.map((size, i) => ({
    id: `${group}.${i + 1}`,
    what: `a ${name} message of 1 MiB in writes of ${size} bytes`,
    play: (peer) => echoes(peer, opcode, dataOf(MIB), [frame(opcode, dataOf(MIB))], size),
  }))
}

const SMALL = [0, 16, 64, 256, 1024, 4096]

function many({ opcode, name }: Kind, group: string): Case[] {
  return SMALL.map((size, i) => ({
    id: `${group}.${i + 1}`,
    what: `${MESSAGES} ${name} messages of ${size} bytes, one after the other`,
    play: async (peer) => {
      for (let n = 0; n < MESSAGES; n++) {
        peer.send(frame(opcode, dataOf(size)))
        await peer.message(opcode, dataOf(size))
      }
      await goesOn(peer)
    },
  }))
}

export const LIMITS: Case[] = [
  ...bothKinds(1, sizes),
  ...bothKinds(3, inFragments),
  ...bothKinds(5, inChops),
  ...bothKinds(7, many),
  {
    id: '10.1.1',
    what: '65536 bytes in fragments of 1300',
    play: (peer) => echoes(peer, TEXT, dataOf(65536), fragments(TEXT, pieces(dataOf(65536), 1300))),
  },
]
