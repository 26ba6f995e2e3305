// Frames as RFC 6455 wants them, sent and read as bytes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { frame, type RawSocket, rawSocket } from '../support/raw-socket.ts'

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]

async function echoGateway(t: Parameters<typeof startGateway>[0], env: Record<string, string> = {}): Promise<Gateway> {
  const gateway = await startGateway(t, { handler: false, env })
  await startProbeHandler(t, gateway.handlerSocket, echo)
  return gateway
}

function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, Buffer.from(reason as string)])
}

async function fails(socket: RawSocket, code: number, what: string): Promise<void> {
  assert.equal((await socket.closeFrame()).code, code, what)
  await socket.end()
}

test('R1-R3: every form of the length, and bytes that arrive one at a time or all at once', async (t) => {
  const gateway = await echoGateway(t)
  const socket = await rawSocket(gateway.port, '/ws/echo')
  for (const length of [0, 1, 125, 126, 127, 128, 65535, 65536, 65537]) {
    const data = Buffer.alloc(length, 'x')
    socket.write(frame(BINARY, data))
    const { opcode, payload, fin, rsv } = await socket.frame()
    assert.deepEqual([opcode, fin, rsv, payload.length], [BINARY, true, 0, length])
    assert.ok(payload.equals(data))
  }
  const bytes = Buffer.concat([frame(TEXT, 'octet-wise κόσμε'), frame(PING, 'p'), frame(BINARY, Buffer.alloc(300, 7))])
  for (const byte of bytes) socket.write(Buffer.of(byte))
  const got = [await socket.frame(), await socket.frame(), await socket.frame()]
  assert.ok(got.some((f) => f.opcode === TEXT && f.payload.toString() === 'octet-wise κόσμε'))
  assert.ok(got.some((f) => f.opcode === PONG && f.payload.toString() === 'p'))
  assert.ok(got.some((f) => f.opcode === BINARY && f.payload.equals(Buffer.alloc(300, 7))))
  socket.write(...Array.from({ length: 50 }, (_, i) => frame(TEXT, `m${i}`)))
  for (let i = 0; i < 50; i++) assert.equal((await socket.frame()).payload.toString(), `m${i}`)
  socket.socket.destroy()
})

test('R1: a message of 16 MiB with MAX_MESSAGE_BYTES raised, in one frame and in many', async (t) => {
  const gateway = await echoGateway(t, { MAX_MESSAGE_BYTES: '16m' })
  const socket = await rawSocket(gateway.port, '/ws/echo')
  const data = Buffer.alloc(16 * 1024 * 1024, 'abcdefghijklmnop')
  socket.write(frame(TEXT, data))
  assert.ok((await socket.frame(60_000)).payload.equals(data))
  const quarter = data.length / 4
  for (let i = 0; i < 4; i++) {
    socket.write(
      frame(i === 0 ? BINARY : CONTINUATION, data.subarray(i * quarter, (i + 1) * quarter), { fin: i === 3 }),
    )
  }
  assert.ok((await socket.frame(60_000)).payload.equals(data))
  socket.socket.destroy()
})

test('R1: over the limit is 1009, whether in one frame or over fragments, and the close frame is really sent', async (t) => {
  const gateway = await echoGateway(t, { MAX_MESSAGE_BYTES: '1000' })
  const one = await rawSocket(gateway.port, '/ws/echo')
  one.write(frame(BINARY, Buffer.alloc(1000, 1)))
  assert.equal((await one.frame()).payload.length, 1000, 'the limit itself is allowed')
  one.write(frame(BINARY, Buffer.alloc(1001, 1)))
  await fails(one, 1009, 'one frame')
  const many = await rawSocket(gateway.port, '/ws/echo')
  many.write(frame(TEXT, 'x'.repeat(600), { fin: false }), frame(CONTINUATION, 'x'.repeat(600)))
  await fails(many, 1009, 'fragments')
  const huge = await rawSocket(gateway.port, '/ws/echo')
  huge.write(Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]))
  await fails(huge, 1009, 'a length of 2^40 is believed, and refused before a byte of it came')
})

test('R4, R5: a ping is answered at once with its payload, pongs are ignored', async (t) => {
  const gateway = await echoGateway(t)
  const socket = await rawSocket(gateway.port, '/ws/echo')
  for (const payload of ['', 'hello', Buffer.from([0, 255, 254]), Buffer.alloc(125, 9)]) {
    socket.write(frame(PING, payload))
    const pong = await socket.frame()
    assert.equal(pong.opcode, PONG)
    assert.ok(pong.payload.equals(Buffer.from(payload as string)))
  }
  socket.write(frame(PONG, 'unasked'), frame(TEXT, 'still here'))
  assert.equal((await socket.frame()).payload.toString(), 'still here')
  socket.write(frame(PING, Buffer.alloc(126)))
  await fails(socket, 1002, 'a ping of 126 bytes')
})

test('R6-R8, R11 and section 3: what breaks the protocol is 1002, after the answers to what came before', async (t) => {
  const gateway = await echoGateway(t)
  const cases: Array<[string, Buffer[]]> = [
    ['RSV1', [frame(TEXT, 'a', { rsv: 4 })]],
    ['RSV2', [frame(BINARY, 'a', { rsv: 2 })]],
    ['RSV3 on a ping', [frame(PING, 'a', { rsv: 1 })]],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer[]] => [
      `opcode ${opcode}`,
      [frame(opcode, 'a')],
    ]),
    ['a fragmented ping', [frame(PING, 'a', { fin: false })]],
    ['a fragmented close', [frame(CLOSE, closePayload(1000), { fin: false })]],
    ['a continuation of nothing', [frame(CONTINUATION, 'a')]],
    [
      'a continuation after the end',
      [frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b'), frame(CONTINUATION, 'c')],
    ],
    ['a new message inside a message', [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')]],
    ['not masked', [frame(TEXT, 'a', { masked: false })]],
    ['length 2 in 16 bits', [frame(TEXT, 'ab', { bits: 16 })]],
    ['length 2 in 64 bits', [frame(TEXT, 'ab', { bits: 64 })]],
    ['length 65535 in 64 bits', [frame(BINARY, Buffer.alloc(65535), { bits: 64 })]],
    ['the top bit of a length', [Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])]],
  ]
  for (const [what, frames] of cases) {
    const socket = await rawSocket(gateway.port, '/ws/echo')
    socket.write(frame(TEXT, 'before'), ...frames)
    const first = await socket.frame()
    assert.equal(first.payload.toString(), 'before', `${what}: the answer to what came before`)
    await fails(socket, 1002, what)
  }
})

test('R9, R10: fragments are joined, empty ones too, and control frames pass between them', async (t) => {
  const gateway = await echoGateway(t)
  const socket = await rawSocket(gateway.port, '/ws/echo')
  socket.write(frame(TEXT, 'κό', { fin: false }), frame(CONTINUATION, '', { fin: false }), frame(PING, 'now'))
  assert.equal((await socket.frame()).opcode, PONG, 'the pong comes before the message has ended')
  socket.write(frame(CONTINUATION, 'σμε'))
  const { opcode, payload } = await socket.frame()
  assert.deepEqual([opcode, payload.toString()], [TEXT, 'κόσμε'])
  socket.socket.destroy()
})

test('R12: 65,536 fragments of 64 bytes are one message', async (t) => {
  const gateway = await echoGateway(t, { MAX_MESSAGE_BYTES: '4m' })
  const socket = await rawSocket(gateway.port, '/ws/echo')
  const part = Buffer.alloc(64, 'y')
  const count = 65536
  const frames = [frame(BINARY, part, { fin: false })]
  for (let i = 2; i < count; i++) frames.push(frame(CONTINUATION, part, { fin: false }))
  frames.push(frame(CONTINUATION, part))
  socket.write(...frames)
  const { payload } = await socket.frame(60_000)
  assert.equal(payload.length, 64 * count)
  socket.socket.destroy()
})

test('R13-R15: text is UTF-8 and fails as soon as it is not, binary may be anything', async (t) => {
  const gateway = await echoGateway(t)
  const bad: Array<[string, Buffer[]]> = [
    ['overlong', [frame(TEXT, Buffer.from([0xc0, 0x80]))]],
    ['overlong in three', [frame(TEXT, Buffer.from([0xe0, 0x80, 0x80]))]],
    ['a surrogate', [frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))]],
    ['above U+10FFFF', [frame(TEXT, Buffer.from([0xf4, 0x90, 0x80, 0x80]))]],
    ['0xFF', [frame(TEXT, Buffer.from([0xff]))]],
    ['a lone continuation byte', [frame(TEXT, Buffer.from('abc\x80', 'latin1'))]],
    ['unfinished at the end', [frame(TEXT, Buffer.from([0xce]))]],
    ['broken over a fragment', [frame(TEXT, Buffer.from([0xce]), { fin: false }), frame(CONTINUATION, 'a')]],
  ]
  for (const [what, frames] of bad) {
    const socket = await rawSocket(gateway.port, '/ws/echo')
    socket.write(...frames)
    await fails(socket, 1007, what)
  }
  const early = await rawSocket(gateway.port, '/ws/echo')
  early.write(frame(TEXT, Buffer.from([0xff]), { fin: false }))
  await fails(early, 1007, 'before the message has ended')
  const inside = await rawSocket(gateway.port, '/ws/echo')
  inside.write(
    frame(TEXT, Buffer.concat([Buffer.from('ab'), Buffer.from([0xff]), Buffer.alloc(100, 'c')])).subarray(0, 20),
  )
  await fails(inside, 1007, 'before the frame has ended')
  const good = await rawSocket(gateway.port, '/ws/echo')
  const split = Buffer.from('😀 U+FFFF: \uffff U+10FFFF: \u{10ffff}')
  good.write(
    ...[...split].map((byte, i) =>
      frame(i === 0 ? TEXT : CONTINUATION, Buffer.of(byte), { fin: i === split.length - 1 }),
    ),
  )
  assert.ok((await good.frame()).payload.equals(split))
  good.write(frame(BINARY, Buffer.from([0xff, 0xc0])))
  assert.ok((await good.frame()).payload.equals(Buffer.from([0xff, 0xc0])))
  good.socket.destroy()
})

test('R16-R19: the close handshake', async (t) => {
  const gateway = await echoGateway(t)
  const closes: Array<[string, Buffer, number | undefined]> = [
    ['empty', Buffer.alloc(0), undefined],
    ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(
      (code): [string, Buffer, number] => [`code ${code}`, closePayload(code, 'bye'), code],
    ),
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code): [string, Buffer, number] => [
      `code ${code}`,
      closePayload(code),
      1002,
    ]),
    ['one byte', Buffer.of(3), 1002],
    ['a reason that is not UTF-8', closePayload(1000, Buffer.from([0xff])), 1007],
    ['a reason of 123 bytes', closePayload(1000, 'r'.repeat(123)), 1000],
  ]
  for (const [what, payload, expected] of closes) {
    const socket = await rawSocket(gateway.port, '/ws/echo')
    socket.write(frame(CLOSE, payload), frame(TEXT, 'after the close'), frame(PING, 'too'))
    const answer = await socket.frame()
    assert.equal(answer.opcode, CLOSE, what)
    assert.equal(answer.payload.length ? answer.payload.readUInt16BE(0) : undefined, expected, what)
    await assert.rejects(socket.frame(), /ended/, 'nothing follows, and the gateway closes first')
  }
  const unfinished = await rawSocket(gateway.port, '/ws/echo')
  unfinished.write(frame(TEXT, 'half', { fin: false }), frame(CLOSE, closePayload(1000)))
  await fails(unfinished, 1000, 'a message in progress is dropped')
})

test('what was asked before the close is answered before it', async (t) => {
  const gateway = await echoGateway(t)
  const socket = await rawSocket(gateway.port, '/ws/echo')
  socket.write(frame(TEXT, 'one'), frame(TEXT, 'two'), frame(CLOSE, closePayload(1000)))
  assert.equal((await socket.frame()).payload.toString(), 'one')
  assert.equal((await socket.frame()).payload.toString(), 'two')
  await fails(socket, 1000, 'then the close')
})

test('texts come back byte for byte', async (t) => {
  const gateway = await startGateway(t)
  const client = await open(`${gateway.ws}/ws/echo`)
  const texts = [
    '[lol] hi',
    '{',
    '"x"',
    '42',
    '{"n":1.0}',
    ' { "a" : 1 } ',
    '\u0000',
    '\ufeff',
    'null',
    'ü😀',
    '\r\n',
    '%41',
    'a'.repeat(70000),
  ]
  for (const text of texts) assert.equal(await client.ask(text), text)
  assert.deepEqual(await client.ask(Buffer.from([0, 1, 255])), Buffer.from([0, 1, 255]))
  // Sent from many sockets at once, they travel in batches.
  const clients = await Promise.all(Array.from({ length: 50 }, () => open(`${gateway.ws}/ws/echo`)))
  await Promise.all(
    clients.map(async (each) => {
      for (const text of texts) assert.equal(await each.ask(text), text)
      assert.deepEqual(await each.ask(Buffer.from([0, 1, 255])), Buffer.from([0, 1, 255]))
    }),
  )
  await Promise.all([client, ...clients].map((each) => each.close()))
})
