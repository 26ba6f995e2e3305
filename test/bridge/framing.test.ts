// Messages are the same, however the network cuts the bytes that carry them.
import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { type Framing, lengthPrefixed, lines, type Parser } from '../../cli/bridge/framing.ts'

const MAX_BYTES = 300

function messagesOf(parser: Parser): string[] {
  const found: string[] = []
  for (let message = parser.next(); message !== undefined; message = parser.next()) {
    if (message === 'too long') return [...found, message]
    found.push(`${message.isText} ${message.payload.toString('hex')}`)
  }
  return found
}

function cut(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += pieces.at(-1)!.length) {
    pieces.push(Buffer.from(bytes.subarray(at, at + randomInt(1, 40))))
  }
  return pieces
}

for (const [name, framing] of Object.entries<Framing>({ lines, lengthPrefixed })) {
  test(`${name}: what is encoded is read back, in any pieces`, () => {
    for (let round = 0; round < 200; round += 1) {
      const payloads = Array.from({ length: randomInt(0, 20) }, () =>
        Buffer.from(randomBytes(randomInt(0, MAX_BYTES + 1)).map((byte) => (byte === 10 || byte === 13 ? 65 : byte))),
      )
      const parser = framing.parser(MAX_BYTES)
      const read = cut(Buffer.concat(payloads.map(framing.encode))).flatMap((piece) => {
        parser.push(piece)
        return messagesOf(parser)
      })
      assert.deepEqual(
        read,
        payloads.map((payload) => {
          const { isText } = framing.datagram(payload)
          return `${isText} ${payload.toString('hex')}`
        }),
      )
    }
  })

  test(`${name}: one byte more than allowed is too long, as soon as that is known`, () => {
    const [fits, long] = [Buffer.alloc(MAX_BYTES, 'x'), Buffer.alloc(MAX_BYTES + 1, 'x')].map(framing.encode)
    const parser = framing.parser(MAX_BYTES)
    parser.push(Buffer.concat([fits!, long!.subarray(0, -1)]))
    assert.deepEqual(
      messagesOf(parser).map((text) => text.slice(0, 8)),
      [`${name === 'lines'} 787878`.slice(0, 8), 'too long'],
    )
  })
}

test('lines: only the CR of the end is removed, and the rest without an end is a line', () => {
  const parser = lines.parser(MAX_BYTES)
  const hex = (text: string): string => `true ${Buffer.from(text).toString('hex')}`
  parser.push(Buffer.from('a\rb\r\r\n\r\nc\r'))
  assert.deepEqual(messagesOf(parser), [hex('a\rb\r'), hex('')])
  const rest = parser.rest()
  assert.ok(rest && rest !== 'too long')
  assert.equal(rest.payload.toString(), 'c')
  assert.equal(parser.rest(), undefined)
})
