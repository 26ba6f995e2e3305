// permessage-deflate (RFC 7692): what is agreed, what is sent, and what may come.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { deflated, deflatedFrame, isCompressed, json, messageOf, noise, OFFER, offer } from '../support/deflate.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { frame } from '../support/raw-socket.ts'

const KIB = 1024
const TEXT = 1
const BINARY = 2
const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
const WINDOW = `${AGREED}; server_max_window_bits`

async function start(t: TestContext, env: Record<string, string> = {}): Promise<Gateway> {
  return startGateway(t, { env: { WORKERS: '1', ...env } })
}

test('a gateway as it comes', async (t) => {
  const gateway = await start(t)

  await t.test('bombs are given up before they take memory', async (t) => {
    const peak = (): number =>
      Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.workers()[0]}/status`, 'utf8'))![1])
    const bomb = deflatedFrame(BINARY, deflated(Buffer.alloc(100 * KIB * KIB)))
    const explode = async (): Promise<void> => {
      const { raw } = await offer(gateway, 'permessage-deflate')
      raw.write(bomb)
      assert.equal((await raw.closeFrame()).code, 1009)
      await raw.end()
    }
    await explode()
    const before = peak()
    for (let i = 0; i < 10; i++) await explode()
    const grown = peak() - before
    t.diagnostic(`grown by ${grown} KiB`)
    assert.ok(grown < 32 * KIB, `grown by ${grown} KiB`)
  })

  await t.test(
    'offers: the first one that can be met is agreed, others are declined, and the socket opens in any case',
    async () => {
      const cases: Array<[string, string | undefined]> = [
        ['', undefined],
        ['permessage-deflate', AGREED],
        ['permessage-deflate; client_max_window_bits', AGREED],
        ['permessage-deflate; client_max_window_bits=8; server_no_context_takeover', AGREED],
        ['permessage-deflate; server_max_window_bits=9', `${WINDOW}=9`],
        ['permessage-deflate; server_max_window_bits="15"', `${WINDOW}=15`],
        ['permessage-deflate; server_max_window_bits=8', undefined],
        ['permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10', `${WINDOW}=10`],
        ['permessage-deflate; unknown, x-other; a="b, c", permessage-deflate', AGREED],
        ['permessage-deflate; client_no_context_takeover; client_no_context_takeover', undefined],
        ['permessage-deflate; client_max_window_bits=16', undefined],
        ['x-webkit-deflate-frame', undefined],
        [';;,"=', undefined],
      ]
      for (const [offers, expected] of cases) {
        const { raw, answer } = await offer(gateway, offers)
        assert.equal(answer, expected, offers)
        for (const message of ['short', json(5000)]) {
          raw.write(frame(TEXT, message))
          const echo = await raw.frame()
          assert.equal(messageOf(echo).toString(), message, offers)
          assert.equal(isCompressed(echo), expected !== undefined && message !== 'short', offers)
        }
        raw.socket.destroy()
      }
    },
  )

  await t.test(
    'what may come: compressed and plain messages in turn, in fragments, with control frames between them',
    async () => {
      const { raw } = await offer(gateway, 'permessage-deflate')
      const payload = deflated('κόσμε '.repeat(300))
      const [first, middle, last] = [payload.subarray(0, 5), payload.subarray(5, 5), payload.subarray(5)]
      raw.write(
        deflatedFrame(TEXT, deflated('one')),
        frame(TEXT, 'two'),
        deflatedFrame(BINARY, deflated(noise(2000))),
        deflatedFrame(TEXT, first, false),
        frame(9, 'ping'),
        frame(0, middle, { fin: false }),
        frame(0, last),
        frame(TEXT, 'plain ', { fin: false }),
        frame(0, 'again'),
        deflatedFrame(TEXT, Buffer.from([0x00])),
        deflatedFrame(TEXT, deflated('three')),
      )
      const seen: string[] = []
      while (seen.at(-1) !== 'three') {
        const received = await raw.frame()
        const message = messageOf(received)
        seen.push(received.opcode === BINARY ? `${message.equals(noise(2000))}` : message.toString())
      }
      const long = 'κόσμε '.repeat(300)
      // A ping is answered between the answers to messages.
      assert.deepEqual(
        seen.filter((text) => text !== 'ping' && text !== ''),
        ['one', 'two', 'true', long, 'plain again', 'three'],
      )
      assert.ok(seen.includes('ping'))
      raw.socket.destroy()
    },
  )
})

test('what is sent: messages from COMPRESSION_MIN_BYTES on, if they get shorter, within the window', async (t) => {
  const gateway = await start(t, { COMPRESSION_MIN_BYTES: '100' })
  const { raw } = await offer(gateway, 'permessage-deflate; server_max_window_bits=9')
  const repeated = Buffer.concat([noise(2000), noise(2000)]) // only a larger window reaches back to the first half
  const messages: Array<[Buffer | string, boolean]> = [
    ['x'.repeat(99), false],
    ['x'.repeat(100), true],
    [json(200_000), true],
    [noise(100), false],
    [noise(100_000), false],
    [repeated, false],
    [Buffer.from(json(3000)), true],
  ]
  for (const [message, expected] of messages) {
    raw.write(frame(typeof message === 'string' ? TEXT : BINARY, message))
    const echo = await raw.frame()
    assert.equal(echo.opcode, typeof message === 'string' ? TEXT : BINARY)
    assert.equal(isCompressed(echo), expected, `${message.length} bytes`)
    assert.ok(messageOf(echo).equals(Buffer.from(message)))
  }
  const { raw: wide } = await offer(gateway, OFFER['Sec-WebSocket-Extensions'])
  wide.write(frame(BINARY, repeated))
  assert.equal(isCompressed(await wide.frame()), true)
  raw.socket.destroy()
  wide.socket.destroy()
})

test('what may not come: each is closed with its code', async (t) => {
  const gateway = await start(t, { MAX_MESSAGE_BYTES: '64k' })
  const good = deflated(json(2000))
  const bomb = deflated(Buffer.alloc(40 * KIB * KIB))
  assert.ok(bomb.length < 64 * KIB)
  const cases: Array<[string, Buffer[], number]> = [
    ['no deflate data', [deflatedFrame(TEXT, Buffer.from('Hello'))], 1007],
    ['a block of a reserved kind', [deflatedFrame(BINARY, Buffer.from([0xff]))], 1007],
    ['noise', [deflatedFrame(BINARY, noise(5000))], 1007],
    ['cut off', [deflatedFrame(TEXT, good.subarray(0, -5))], 1007],
    ['the last fragment missing', [deflatedFrame(TEXT, good.subarray(0, 9), false), frame(0)], 1007],
    ['something behind the data', [deflatedFrame(TEXT, Buffer.concat([good, Buffer.from([0xff])]))], 1007],
    ['no UTF-8', [deflatedFrame(TEXT, deflated(Buffer.from([0x61, 0xed, 0xa0, 0x80])))], 1007],
    ['half a character', [deflatedFrame(TEXT, deflated(Buffer.from([0xce])))], 1007],
    ['a bomb', [deflatedFrame(BINARY, bomb)], 1009],
    ['a bomb in pieces', [deflatedFrame(TEXT, bomb.subarray(0, 9), false), frame(0, bomb.subarray(9))], 1009],
    ['one byte too many', [deflatedFrame(TEXT, deflated('x'.repeat(64 * KIB + 1)))], 1009],
    ['too long as it is', [deflatedFrame(BINARY, Buffer.alloc(100 * KIB))], 1009],
    ['a ping with RSV1', [frame(9, '', { rsv: 4 })], 1002],
    ['a close frame with RSV1', [frame(8, Buffer.from([3, 232]), { rsv: 4 })], 1002],
    ['a fragment with RSV1', [deflatedFrame(TEXT, good, false), frame(0, '', { rsv: 4 })], 1002],
    ['RSV1 only in a later fragment', [frame(TEXT, 'a', { fin: false }), frame(0, good, { rsv: 4 })], 1002],
    ['RSV1 with RSV2', [frame(TEXT, good, { rsv: 6 })], 1002],
    ['RSV3', [frame(TEXT, 'a', { rsv: 1 })], 1002],
  ]
  for (const [what, frames, code] of cases) {
    const { raw } = await offer(gateway, 'permessage-deflate')
    raw.write(...frames)
    assert.equal((await raw.closeFrame()).code, code, what)
    await raw.end()
  }
  const { raw: plain } = await offer(gateway, 'permessage-deflate; server_max_window_bits=8')
  plain.write(deflatedFrame(TEXT, deflated('Hello')))
  assert.equal((await plain.closeFrame()).code, 1002, 'RSV1 where nothing was agreed')
  const { raw: whole } = await offer(gateway, 'permessage-deflate')
  whole.write(deflatedFrame(TEXT, deflated('x'.repeat(64 * KIB))))
  assert.equal(messageOf(await whole.frame()).length, 64 * KIB, 'the largest message')
})
