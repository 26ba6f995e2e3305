/** Autobahn 6: text is UTF-8 (RFC 6455 section 8.1, RFC 3629). The sequences are those of Markus Kuhn's decoder test. */
import { frame } from '../support/raw-socket.ts'
import { type Case, fragments, goesOn, NOT_UTF8, type Peer, pieces, TEXT } from './case.ts'

const GREEK = 'κόσμε'
const BEYOND_UNICODE = bytes('f4908080') // would be U+110000; the second byte shows it
const BROKEN = Buffer.concat([Buffer.from(GREEK), bytes('eda080'), Buffer.from('edited')])
const MIXED = 'Hello-µ@ßöäüàá-UTF-8!!'

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

async function echoes(peer: Peer, data: Buffer, frames: Buffer[]): Promise<void> {
  peer.send(...frames)
  await peer.message(TEXT, data)
  await goesOn(peer)
}

/** The invalid second part must end the connection before the third is sent. */
async function failsFast(peer: Peer, parts: Buffer[], isFragmented: boolean): Promise<void> {
  const [first, second] = isFragmented
    ? fragments(TEXT, parts)
    : [
        frame(TEXT, Buffer.concat(parts), { mask: Buffer.alloc(4) }).subarray(0, 6 + parts[0]!.length),
        parts[1]!, // masked with zeros
      ]
  peer.send(first!)
  peer.send(second!)
  await peer.closes(NOT_UTF8)
}

const WHOLE = [Buffer.from(GREEK), BEYOND_UNICODE, Buffer.from('edited')]
const HALF = [
  Buffer.concat([WHOLE[0]!, bytes('f4')]),
  bytes('90'),
  Buffer.concat([bytes('8080'), Buffer.from('edited')]),
]

function good(id: string, what: string, text: string, parts: Buffer[]): Case {
  return { id, what, play: (peer) => echoes(peer, Buffer.from(text), fragments(TEXT, parts)) }
}

const FRAGMENTED: Case[] = [
  good('6.1.1', 'an empty text', '', [Buffer.alloc(0)]),
  good('6.1.2', 'three empty fragments', '', [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)]),
  good('6.1.3', 'a fragment between two empty ones', 'middle', [
    Buffer.alloc(0),
    Buffer.from('middle'),
    Buffer.alloc(0),
  ]),
  good('6.2.1', 'UTF-8 in one fragment', MIXED, [Buffer.from(MIXED)]),
  good('6.2.2', 'in two, between two characters', MIXED, [Buffer.from('Hello-µ@ßöä'), Buffer.from('üàá-UTF-8!!')]),
  good('6.2.3', 'in fragments of one byte', MIXED, pieces(Buffer.from(MIXED), 1)),
  good('6.2.4', 'Greek in fragments of one byte', GREEK, pieces(Buffer.from(GREEK), 1)),
  {
    id: '6.3.1',
    what: 'broken text in one fragment',
    play: async (peer) => {
      peer.send(frame(TEXT, BROKEN))
      await peer.closes(NOT_UTF8)
    },
  },
  {
    id: '6.3.2',
    what: 'broken text in fragments of one byte',
    play: async (peer) => {
      peer.send(...fragments(TEXT, pieces(BROKEN, 1)))
      await peer.closes(NOT_UTF8)
    },
  },
  { id: '6.4.1', what: 'a broken second fragment of three', play: (peer) => failsFast(peer, WHOLE, true) },
  { id: '6.4.2', what: 'a second fragment that breaks the first', play: (peer) => failsFast(peer, HALF, true) },
  { id: '6.4.3', what: 'a broken second part of a frame', play: (peer) => failsFast(peer, WHOLE, false) },
  { id: '6.4.4', what: 'a second part that breaks the first', play: (peer) => failsFast(peer, HALF, false) },
]

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/** Each of these bytes with a space behind it. */
function lonely(first: number, last: number): string {
  return Buffer.from(range(first, last).flatMap((byte) => [byte, 0x20])).toString('hex')
}

function codePoint(point: number): string {
  return Buffer.from(String.fromCodePoint(point)).toString('hex')
}

const UNFINISHED = 'c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf'

/** Hex of the texts of each group 6.5 to 6.23; whether they are UTF-8 is for Node to say. */
const SEQUENCES: Array<[what: string, texts: string[]]> = [
  ['valid text', [GREEK, MIXED, 'ऄअआ', '€uro', '😀👍'].map((text) => Buffer.from(text).toString('hex'))],
  ['a prefix of a text', range(1, 11).map((length) => Buffer.from(GREEK).subarray(0, length).toString('hex'))],
  ['the first sequence of its length', [0, 0x80, 0x800, 0x10000].map(codePoint)],
  ['a sequence of 5 or 6 bytes', 'f888808080 fc8480808080'.split(' ')],
  ['the last sequence of its length', [0x7f, 0x7ff, 0xffff, 0x10ffff].map(codePoint)],
  ['beyond Unicode', 'f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf'.split(' ')],
  ['a border', 'ed9fbf ee8080 efbfbd f48fbfbf f4908080'.split(' ')],
  [
    'continuations alone',
    [
      ...'80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf'.split(' '),
      Buffer.from(range(0x80, 0xbf)).toString('hex'),
    ],
  ],
  [
    'first bytes alone',
    [lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)],
  ],
  ['a sequence without its last byte', UNFINISHED.split(' ')],
  ['all of these in a row', [UNFINISHED.replaceAll(' ', '')]],
  ['an impossible byte', 'fe ff fefeffff'.split(' ')],
  ['an overlong slash', 'c0af e080af f08080af f8808080af fc80808080af'.split(' ')],
  ['the greatest overlong sequence', 'c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf'.split(' ')],
  ['an overlong NUL', 'c080 e08080 f0808080 f880808080 fc8080808080'.split(' ')],
  ['half a surrogate pair', 'eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf'.split(' ')],
  ['a surrogate pair', ['eda080', 'edadbf', 'edae80', 'edafbf'].flatMap((high) => [`${high}edb080`, `${high}edbfbf`])],
  ['a noncharacter', range(0, 16).flatMap((plane) => [0xfffe, 0xffff].map((low) => codePoint(plane * 0x10000 + low)))],
  ['a special', range(0xfff9, 0xffff).map(codePoint)],
]

export const UTF8: Case[] = [
  ...FRAGMENTED,
  ...SEQUENCES.flatMap(([what, texts], group) =>
    texts.map((hex, i): Case => {
      const data = bytes(hex)
      const isGood = data.toString().length > 0 && Buffer.from(data.toString()).equals(data)
      return {
        id: `6.${group + 5}.${i + 1}`,
        what: `${what}: ${hex.slice(0, 40)}`,
        play: async (peer) => {
          if (isGood) return echoes(peer, data, [frame(TEXT, data)])
          peer.send(frame(TEXT, data))
          await peer.closes(NOT_UTF8)
        },
      }
    }),
  ),
]
