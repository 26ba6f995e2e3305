// ReconnectingSocket has the interface of WebSocket; what differs: it keeps messages, and asks for URLs and protocols.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReconnectingSocket } from '../../web/client/reconnecting-socket.js'
import { until } from '../support/wait.ts'
import { build, FakeSocket, newest } from './fake.ts'

const REFUSED = { name: 'InvalidStateError' }
const sent = () => FakeSocket.made.map((made) => made.sent)

test('it has the names of WebSocket, and their values', () => {
  const { socket } = build()
  for (const name of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const) {
    assert.equal(ReconnectingSocket[name], WebSocket[name])
    assert.equal(socket[name], WebSocket[name])
  }
  for (const name of Object.keys(Object.getOwnPropertyDescriptors(WebSocket.prototype)))
    assert.ok(name in socket, `${name} is missing`)
})

test('readyState is CONNECTING until it opens and while it waits, and CLOSED only at the end', () => {
  const { socket, clock } = build()
  const seen = [socket.readyState]
  const look = () => seen.push(socket.readyState)
  newest().opens()
  look()
  newest().ends(1006)
  look()
  clock.advance(500)
  look()
  newest().opens()
  look()
  socket.close()
  look()
  newest().ends(1000)
  look()
  assert.deepEqual(seen, [0, 1, 0, 0, 1, 2, 3])
})

test('close comes once, at the end, and open with each connection', () => {
  const { socket, clock, closes } = build()
  const opens: unknown[] = []
  socket.addEventListener('open', ({ reconnected }) => opens.push(reconnected))
  newest().opens()
  newest().ends(1012, 'restart')
  clock.advance(500)
  newest().opens()
  assert.deepEqual([opens, closes], [[false, true], []])
  newest().ends(4001, 'signed out')
  assert.deepEqual(closes, [{ code: 4001, reason: 'signed out', wasClean: true }])
  socket.connect()
  newest().opens()
  assert.deepEqual(opens, [false, true, false], 'it began anew')
})

test('handlers are called like listeners, and only the newest of each', () => {
  const { socket } = build()
  const seen: string[] = []
  socket.onopen = () => seen.push('replaced')
  socket.onopen = (event) => seen.push(event.type)
  socket.onmessage = ({ data, target }) => seen.push(data, String(target === socket))
  socket.onerror = ({ error }) => seen.push(String(error))
  socket.onclose = ({ code }) => seen.push(String(code))
  socket.onstate = ({ detail }) => seen.push(detail.state)
  newest().opens()
  newest().receives('hello')
  newest().onerror({ error: 'broken' })
  newest().ends(1000)
  socket.onopen = null
  socket.connect()
  newest().opens()
  assert.deepEqual(seen, ['open', 'open', 'hello', 'true', 'broken', 'closed', '1000', 'connecting', 'open'])
})

test('binaryType is that of every connection, and url and protocol are those of the newest', () => {
  const { socket, clock } = build({ url: 'ws://host', protocols: ['chat'] })
  assert.deepEqual([socket.binaryType, newest().binaryType], ['blob', 'blob'])
  socket.binaryType = 'arraybuffer'
  assert.equal(newest().binaryType, 'arraybuffer')
  newest().ends(1006)
  clock.advance(500)
  newest().protocol = 'chat'
  assert.deepEqual([newest().binaryType, newest().protocols, socket.url], ['arraybuffer', ['chat'], 'ws://host/'])
  assert.deepEqual([socket.protocol, socket.extensions], ['chat', ''])
})

test('a URL that is none throws', () => {
  assert.throws(() => build({ url: 'no url' }))
})

test('send: without a connection, messages are kept in order, and sent when one opens', () => {
  const { socket, clock } = build()
  socket.send('one')
  socket.send('')
  newest().opens()
  socket.send('three')
  newest().readyState = 2 // The server's close frame is here, its close event is not.
  socket.send('four')
  newest().ends(1012)
  socket.send('five')
  clock.advance(500)
  newest().opens()
  assert.deepEqual(sent(), [
    ['one', '', 'three'],
    ['four', 'five'],
  ])
  assert.equal(socket.bufferedAmount, 0)
})

test('send: what a listener of open sends goes before what was kept', () => {
  const { socket } = build()
  socket.onopen = () => socket.send('sign in')
  socket.send('kept')
  newest().opens()
  assert.deepEqual(sent(), [['sign in', 'kept']])
})

test('send: what is kept is a copy', () => {
  const { socket } = build()
  const bytes = new Uint8Array([1, 2, 3, 4])
  const blob = new Blob(['blob'])
  for (const data of [bytes.subarray(1, 3), bytes.buffer, blob]) socket.send(data)
  bytes.fill(9)
  newest().opens()
  assert.deepEqual(newest().sent, [new Uint8Array([2, 3]), new Uint8Array([1, 2, 3, 4]).buffer, blob])
})

test('send: the bound is in bytes; beyond it send throws, and keeps what it has', () => {
  const { socket } = build({ keep: 10 })
  socket.send('éé')
  socket.send(new Uint8Array(6))
  assert.equal(socket.bufferedAmount, 10)
  assert.throws(() => socket.send('x'), REFUSED)
  newest().opens()
  assert.deepEqual([newest().sent.length, socket.bufferedAmount], [2, 0])
  newest().bufferedAmount = 7
  assert.equal(socket.bufferedAmount, 7)
  newest().ends(1006)
  assert.equal(socket.bufferedAmount, 0, 'what was in the connection is lost')
  socket.send('room again')
})

test('send: keep is 64 KB unless it is set, and 0 keeps nothing', () => {
  const { socket } = build()
  socket.send('x'.repeat(65_536))
  assert.throws(() => socket.send('x'), REFUSED)
  const { socket: strict } = build({ keep: 0 })
  assert.throws(() => strict.send('x'), REFUSED)
  newest().opens()
  strict.send('x')
  assert.deepEqual(newest().sent, ['x'])
})

test('send: after the end it discards and counts, as WebSocket does', () => {
  const { socket } = build()
  socket.send('kept')
  newest().ends(1008)
  socket.send('discarded')
  assert.equal(socket.bufferedAmount, 13)
  socket.connect()
  newest().opens()
  assert.deepEqual([newest().sent, socket.bufferedAmount], [[], 0])
})

test('send: what could not go out before a connection closed stays kept', () => {
  const { socket, clock } = build()
  for (const data of ['one', 'two', 'three']) socket.send(data)
  const dying = newest()
  dying.send = (data) => {
    dying.sent.push(data)
    dying.readyState = 2
  }
  dying.opens()
  dying.ends(1012)
  clock.advance(500)
  newest().opens()
  assert.deepEqual(sent(), [['one'], ['two', 'three']])
})

test('functions: URL and protocols are asked for at each dial', async () => {
  let dials = 0
  const { socket, clock } = build({
    url: async () => `ws://host/?token=${++dials}`,
    protocols: () => [`v${dials}`],
  })
  assert.deepEqual([FakeSocket.made.length, socket.url, socket.protocol], [0, '', ''])
  await until('the first dial', () => FakeSocket.made.length === 1)
  newest().opens()
  newest().ends(1006)
  clock.advance(500)
  await until('the second dial', () => FakeSocket.made.length === 2)
  assert.deepEqual(
    FakeSocket.made.map(({ url, protocols }) => [url, protocols]),
    [
      ['ws://host/?token=1', ['v1']],
      ['ws://host/?token=2', ['v2']],
    ],
  )
})

for (const [what, url] of [
  ['rejects', async () => Promise.reject(new Error('no token'))],
  ['throws', () => assert.fail('no token')],
  ['gives no URL', () => 'no token'],
] as const) {
  test(`functions: one that ${what} is a failed dial`, async () => {
    const { socket, states } = build({ url })
    const errors: unknown[] = []
    socket.onerror = ({ error }) => errors.push(error)
    await until('the dial has failed', () => socket.state === 'waiting')
    assert.equal(errors.length, 1)
    const { code, reason, delay } = states.at(-1) as { code: number; reason: string; delay: number }
    assert.deepEqual([code, delay], [1006, 500])
    assert.equal(reason, (errors[0] as Error).message)
  })
}

test('functions: one may close the socket, and an answer after that opens nothing', async () => {
  const { socket, closes } = build({
    url: async () => {
      socket.close()
      return 'ws://host/'
    },
  })
  await until('closed', () => socket.state === 'closed')
  await new Promise(setImmediate)
  assert.deepEqual([FakeSocket.made.length, closes.length], [0, 1])
})

test('functions: one that takes too long is given up, and its late answer opens nothing', async () => {
  const answers: Array<(url: string) => void> = []
  const { socket, clock } = build({ url: () => new Promise((resolve) => answers.push(resolve)), timeout: 10_000 })
  await until('asked', () => answers.length === 1)
  clock.advance(10_000)
  assert.equal(socket.state, 'waiting')
  answers[0]!('ws://late/')
  await new Promise(setImmediate)
  assert.equal(FakeSocket.made.length, 0)
  clock.advance(500)
  await until('asked again', () => answers.length === 2)
  answers[1]!('ws://host/')
  await until('dialed', () => FakeSocket.made.length === 1)
})
