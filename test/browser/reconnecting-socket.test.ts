import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReconnectingSocket, worthRetrying } from '../../web/demo/reconnecting-socket.js'
import { Clock, FakeNetwork, FakeSocket } from './fake.ts'

type Options = NonNullable<ConstructorParameters<typeof ReconnectingSocket>[2]>

/** A socket with everything around it in the test's hands. Each wait takes the whole ceiling unless `random` says less. */
function build(options: Options = {}) {
  FakeSocket.made = []
  const clock = new Clock()
  const network = new FakeNetwork()
  const socket = new ReconnectingSocket('ws://host/', [], {
    WebSocket: FakeSocket as unknown as typeof WebSocket,
    clock,
    network,
    random: () => 1,
    ...options,
  })
  const states: unknown[] = []
  socket.addEventListener('state', (event) => states.push((event as CustomEvent).detail))
  return { socket, clock, network, states }
}

const newest = (): FakeSocket => FakeSocket.made.at(-1) ?? assert.fail('no connection was tried')

/** Lets every try fail at once, and answers with the waits between them. */
function waits(clock: Clock, states: unknown[], tries: number): unknown[] {
  return Array.from({ length: tries }, () => {
    newest().ends(1006)
    const { delay } = states.at(-1) as { delay: number }
    clock.advance(delay)
    return delay
  })
}

test('delays: the ceiling doubles up to the cap', () => {
  const { clock, states } = build({ min: 500, max: 5_000 })
  assert.deepEqual(waits(clock, states, 6), [500, 1_000, 2_000, 4_000, 5_000, 5_000])
})

test('delays: each is a random part of its ceiling', () => {
  const parts = [0, 0.25, 0.999]
  const { clock, states } = build({ min: 1_000, random: () => parts.shift() ?? 1 })
  assert.deepEqual(waits(clock, states, 3), [0, 500, 3_996])
})

test('delays: they start over after a connection that lasted', () => {
  const { clock, states } = build({ min: 500, stable: 5_000 })
  waits(clock, states, 3)
  newest().opens()
  clock.advance(5_000)
  assert.deepEqual(waits(clock, states, 1), [500])
})

test('delays: they go on growing after connections that did not last', () => {
  const { clock, states } = build({ min: 500, stable: 5_000 })
  waits(clock, states, 2)
  newest().opens()
  clock.advance(4_999)
  assert.deepEqual(waits(clock, states, 1), [2_000])
})

test('delays: a try that takes too long is given up', () => {
  const { clock } = build({ timeout: 10_000 })
  clock.advance(9_999)
  assert.equal(newest().closedWith, undefined)
  clock.advance(1)
  assert.notEqual(newest().closedWith, undefined)
})

test('state: a lost connection waits, then connects and opens', () => {
  const { socket, clock, states } = build()
  assert.equal(socket.state, 'connecting')
  newest().opens()
  newest().ends(1006)
  clock.advance(500)
  newest().opens()
  assert.deepEqual(states, [
    { state: 'open', delay: undefined },
    { state: 'waiting', delay: 500 },
    { state: 'connecting', delay: undefined },
    { state: 'open', delay: undefined },
  ])
  assert.equal(FakeSocket.made.length, 2)
})

test('state: a close event carries code, reason and cleanness', () => {
  const { socket } = build()
  const seen: unknown[] = []
  socket.addEventListener('close', (event) => {
    const { code, reason, wasClean } = event as CloseEvent
    seen.push({ code, reason, wasClean })
  })
  newest().opens()
  newest().ends(4001, 'signed out')
  assert.deepEqual(seen, [{ code: 4001, reason: 'signed out', wasClean: true }])
})

test('state: messages come through', () => {
  const { socket } = build({ binaryType: 'arraybuffer' })
  const seen: unknown[] = []
  socket.addEventListener('message', (event) => seen.push((event as MessageEvent).data))
  newest().opens()
  newest().receives('hello')
  assert.deepEqual(seen, ['hello'])
  assert.equal(newest().binaryType, 'arraybuffer')
})

test('close on purpose: an open connection is closed for good', () => {
  const { socket, clock } = build()
  newest().opens()
  socket.close(4001, 'signed out')
  assert.deepEqual(newest().closedWith, [4001, 'signed out'])
  assert.equal(socket.state, 'closed')
  newest().ends(1006)
  assert.equal(socket.state, 'closed')
  assert.equal(clock.pending, 0)
})

test('close on purpose: a wait ends', () => {
  const { socket, clock, network } = build()
  newest().ends(1006)
  socket.close()
  assert.equal(socket.state, 'closed')
  network.dispatchEvent(new Event('online'))
  assert.equal(clock.pending, 0)
  assert.equal(FakeSocket.made.length, 1)
})

test('close on purpose: a connection that opens a moment too late does not count', () => {
  const { socket } = build()
  socket.close()
  newest().opens()
  assert.equal(socket.state, 'closed')
})

test('close on purpose: a listener of the close event may do it', () => {
  const { socket, clock } = build()
  socket.addEventListener('close', () => socket.close())
  newest().ends(1006)
  assert.equal(socket.state, 'closed')
  assert.equal(clock.pending, 0)
})

test('close on purpose: the delays start over after it', () => {
  const { socket, clock, states } = build({ min: 500 })
  waits(clock, states, 3)
  socket.close()
  socket.connect()
  assert.deepEqual(waits(clock, states, 1), [500])
})

test('close on purpose: a code that is not allowed changes nothing', () => {
  const { socket } = build()
  newest().opens()
  assert.throws(() => socket.close(1001), { name: 'InvalidAccessError' })
  assert.equal(socket.state, 'open')
})

test('close on purpose: connect starts again, whatever the old connection still does', () => {
  const { socket } = build()
  newest().opens()
  const old = newest()
  socket.close()
  socket.connect()
  newest().opens()
  old.ends(1006)
  assert.equal(socket.state, 'open')
  assert.equal(FakeSocket.made.length, 2)
})

for (const code of [1000, 1002, 1008, 1009, 3000, 4401]) {
  test(`giving up: ${code} would come again`, () => {
    const { socket, clock } = build()
    newest().opens()
    newest().ends(code)
    assert.equal(socket.state, 'closed')
    assert.equal(clock.pending, 0)
  })
}

for (const code of [1001, 1006, 1011, 1012, 1013, 1014]) {
  test(`giving up: ${code} may pass`, () => {
    const { socket } = build()
    newest().opens()
    newest().ends(code)
    assert.equal(socket.state, 'waiting')
  })
}

test('giving up: retry overrules', () => {
  const { socket } = build({ retry: (event) => event.code === 4999 || worthRetrying(event) })
  newest().opens()
  newest().ends(4999)
  assert.equal(socket.state, 'waiting')
})

test('send: an open connection takes it', () => {
  const { socket } = build()
  newest().opens()
  socket.send('hello')
  assert.deepEqual(newest().sent, ['hello'])
})

test('send: any other state refuses it', () => {
  const { socket, clock } = build()
  const refused = { name: 'InvalidStateError' }
  assert.throws(() => socket.send('connecting'), refused)
  newest().opens()
  newest().readyState = 2 // The server's close frame is here, its close event is not.
  assert.throws(() => socket.send('closing'), refused)
  newest().ends(1006)
  assert.throws(() => socket.send('waiting'), refused)
  clock.advance(500)
  newest().opens()
  socket.close()
  assert.throws(() => socket.send('closed'), refused)
  assert.deepEqual(
    FakeSocket.made.map(({ sent }) => sent),
    [[], []],
  )
})

test('offline: it waits for the cap, and tries at once when the network is back', () => {
  const { socket, network, states } = build({ max: 30_000 })
  network.navigator.onLine = false
  newest().ends(1006)
  assert.deepEqual(states.at(-1), { state: 'waiting', delay: 30_000 })
  network.dispatchEvent(new Event('online'))
  assert.equal(socket.state, 'connecting')
  assert.equal(FakeSocket.made.length, 2)
})

test('offline: an open connection stays when the browser is online again', () => {
  const { socket, network } = build()
  newest().opens()
  network.dispatchEvent(new Event('online'))
  assert.equal(socket.state, 'open')
  assert.equal(FakeSocket.made.length, 1)
})

test('offline: an open connection is lost when the browser goes offline, and its own end changes nothing later', () => {
  const { socket, network, states } = build({ max: 30_000 })
  const closes: unknown[] = []
  socket.addEventListener('close', (event) => {
    const { code, reason, wasClean } = event as CloseEvent
    closes.push({ code, reason, wasClean })
  })
  newest().opens()
  const dead = newest()
  network.navigator.onLine = false
  network.dispatchEvent(new Event('offline'))
  assert.notEqual(dead.closedWith, undefined)
  assert.deepEqual(states.at(-1), { state: 'waiting', delay: 30_000 })
  network.dispatchEvent(new Event('offline'))
  network.navigator.onLine = true
  network.dispatchEvent(new Event('online'))
  newest().opens()
  dead.receives('late')
  dead.ends(1006)
  assert.equal(socket.state, 'open')
  assert.deepEqual(closes, [{ code: 1006, reason: 'the browser is offline', wasClean: false }])
})

test('silence: a message without an answer ends the connection, however much is sent after it', () => {
  const { socket, clock } = build({ answer: 20_000 })
  newest().opens()
  clock.advance(60_000)
  socket.send('first')
  clock.advance(19_999)
  socket.send('second')
  assert.equal(socket.state, 'open')
  clock.advance(1)
  assert.equal(socket.state, 'waiting')
})

test('silence: every answer gives the next one its whole time', () => {
  const { socket, clock } = build({ answer: 20_000 })
  newest().opens()
  for (const data of ['first', 'second']) socket.send(data)
  clock.advance(15_000)
  newest().receives('first')
  clock.advance(15_000)
  newest().receives('second')
  newest().receives('a push')
  clock.advance(60_000)
  assert.equal(socket.state, 'open')
  socket.send('third')
  clock.advance(20_000)
  assert.equal(socket.state, 'waiting')
})

test('silence: a large message has time while its bytes leave', () => {
  const { socket, clock } = build({ answer: 20_000 })
  newest().opens()
  newest().bufferedAmount = 1_000
  socket.send('large')
  for (const left of [600, 200]) {
    newest().bufferedAmount = left
    clock.advance(20_000)
    assert.equal(socket.state, 'open')
  }
  clock.advance(20_000)
  assert.equal(socket.state, 'waiting')
})

test('silence: what was sent over an earlier connection is not waited for, and without `answer` nothing is', () => {
  const { socket, clock } = build({ answer: 20_000, min: 100 })
  newest().opens()
  socket.send('lost')
  newest().ends(1006)
  clock.advance(100)
  newest().opens()
  clock.advance(60_000)
  assert.equal(socket.state, 'open')
  const { socket: patient, clock: time } = build()
  newest().opens()
  patient.send('unanswered')
  time.advance(3_600_000)
  assert.equal(patient.state, 'open')
})
