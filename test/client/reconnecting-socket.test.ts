// When a ReconnectingSocket dials again, and when it gives up: with the time, the sockets and the network in the test's hands.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { worthRetrying } from '../../web/client/reconnecting-socket.js'
import { build, type Clock, FakeSocket, newest } from './fake.ts'

/** Lets every try fail immediately, and answers with the waits between them. */
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
  const { clock, states } = build({ timeout: 10_000 })
  clock.advance(9_999)
  assert.equal(newest().closedWith, undefined)
  clock.advance(1)
  assert.notEqual(newest().closedWith, undefined)
  const end = { code: 1006, reason: 'not open within 10000 ms', wasClean: false }
  assert.deepEqual(states.at(-1), { state: 'waiting', delay: 500, ...end })
})

test('state: a lost connection waits, then connects and opens', () => {
  const { socket, clock, states } = build()
  assert.equal(socket.state, 'connecting')
  newest().opens()
  newest().ends(1006)
  clock.advance(500)
  newest().opens()
  assert.deepEqual(states, [
    { state: 'open' },
    { state: 'waiting', delay: 500, code: 1006, reason: '', wasClean: false },
    { state: 'connecting' },
    { state: 'open' },
  ])
  assert.equal(FakeSocket.made.length, 2)
})

test('close on purpose: an open connection is closed for good', () => {
  const { socket, clock, states } = build()
  newest().opens()
  socket.close(4001, 'signed out')
  assert.deepEqual(newest().closedWith, [4001, 'signed out'])
  assert.equal(socket.state, 'closing')
  newest().receives('too late')
  newest().ends(1006)
  assert.equal(socket.state, 'closed')
  assert.deepEqual(states.slice(1), [
    { state: 'closing' },
    { state: 'closed', code: 1006, reason: '', wasClean: false },
  ])
  assert.equal(clock.pending, 0)
})

test('close on purpose: a wait ends', async () => {
  const { socket, clock, network, closes } = build()
  newest().ends(1006)
  socket.close()
  assert.deepEqual([socket.state, closes], ['closing', []])
  await undefined
  assert.deepEqual([socket.state, closes], ['closed', [{ code: 1006, reason: '', wasClean: false }]])
  network.dispatchEvent(new Event('online'))
  assert.equal(clock.pending, 0)
  assert.equal(FakeSocket.made.length, 1)
})

test('close on purpose: a connection that opens a moment too late does not count', () => {
  const { socket } = build()
  socket.close()
  newest().opens()
  assert.equal(socket.state, 'closing')
})

test('close on purpose: a listener may do it when a connection was lost', async () => {
  const { socket, clock } = build()
  socket.addEventListener('state', ({ detail }) => detail.state === 'waiting' && socket.close())
  newest().ends(1006)
  await undefined
  assert.equal(socket.state, 'closed')
  assert.equal(clock.pending, 0)
})

test('close on purpose: a listener may do it when a connection opens, or when one broke', async () => {
  const { socket, closes } = build()
  const seen: string[] = []
  socket.addEventListener('open', () => seen.push('open'))
  socket.addEventListener('state', ({ detail }) => detail.state === 'open' && socket.close())
  newest().opens()
  newest().ends(1000)
  assert.deepEqual([seen, closes.length, socket.state], [[], 1, 'closed'])
  const { socket: broken, network, closes: ends } = build()
  newest().opens()
  broken.onerror = () => broken.close()
  network.dispatchEvent(new Event('offline'))
  assert.deepEqual([broken.state, ends.length], ['closed', 1])
  await undefined
  assert.equal(ends.length, 1)
})

test('close on purpose: it does not wait for the end of a connection that was lost before', async () => {
  const { socket, network } = build()
  newest().opens()
  network.dispatchEvent(new Event('offline'))
  assert.equal(newest().readyState, 2, 'a dead network: the browser still waits for a close frame')
  socket.close()
  await undefined
  assert.equal(socket.state, 'closed')
})

test('close on purpose: the delays start over after it', async () => {
  const { socket, clock, states } = build({ min: 500 })
  waits(clock, states, 3)
  newest().ends(1006)
  socket.close()
  await undefined
  socket.connect()
  assert.deepEqual(waits(clock, states, 1), [500])
})

test('close on purpose: a code that is not allowed changes nothing', () => {
  const { socket } = build()
  assert.throws(() => socket.close(1001), { name: 'InvalidAccessError' }, 'also before a connection is open')
  assert.throws(() => socket.close(4000, 'x'.repeat(124)), { name: 'SyntaxError' })
  newest().opens()
  assert.throws(() => socket.close(1001), { name: 'InvalidAccessError' })
  assert.equal(socket.state, 'open')
})

test('connect: it starts again after the end, whatever the old connection still does', () => {
  const { socket } = build()
  newest().opens()
  const old = newest()
  old.ends(1000)
  socket.connect()
  newest().opens()
  old.ends(1006)
  assert.equal(socket.state, 'open')
  assert.equal(FakeSocket.made.length, 2)
})

for (const code of [1000, 1002, 1005, 1008, 1009, 3000, 4401]) {
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

test('connect: it ends a wait, and does nothing in other states', () => {
  const { socket } = build()
  socket.connect()
  newest().opens()
  socket.connect()
  assert.equal(FakeSocket.made.length, 1)
  newest().ends(1006)
  socket.connect()
  assert.deepEqual([FakeSocket.made.length, socket.state], [2, 'connecting'])
})

test('visible: a page that is looked at dials, a page that is hidden waits', () => {
  const { socket, network } = build()
  newest().ends(1006)
  network.document.hidden = true
  network.dispatchEvent(new Event('visibilitychange'))
  assert.equal(socket.state, 'waiting')
  network.document.hidden = false
  network.dispatchEvent(new Event('visibilitychange'))
  assert.deepEqual([FakeSocket.made.length, socket.state], [2, 'connecting'])
  newest().opens()
  network.dispatchEvent(new Event('visibilitychange'))
  assert.equal(FakeSocket.made.length, 2)
})

test('offline: it waits for the cap, and tries immediately when the network is back', () => {
  const { socket, network, states } = build({ max: 30_000 })
  network.navigator.onLine = false
  newest().ends(1006)
  assert.equal((states.at(-1) as { delay: number }).delay, 30_000)
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
  const seen: unknown[] = []
  socket.onmessage = ({ data }) => seen.push(data)
  newest().opens()
  const dead = newest()
  network.navigator.onLine = false
  network.dispatchEvent(new Event('offline'))
  assert.notEqual(dead.closedWith, undefined)
  const end = { code: 1006, reason: 'the browser is offline', wasClean: false }
  assert.deepEqual(states.at(-1), { state: 'waiting', delay: 30_000, ...end })
  network.dispatchEvent(new Event('offline'))
  network.navigator.onLine = true
  network.dispatchEvent(new Event('online'))
  newest().opens()
  dead.receives('late')
  dead.onerror({})
  dead.ends(1006)
  assert.deepEqual([socket.state, seen], ['open', []])
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
