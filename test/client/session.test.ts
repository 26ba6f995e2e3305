// What a ReconnectingSocket does in a session, with the time, the sockets and the network in the test's hands.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, FakeSocket, newest } from './fake.ts'

const REFUSED = { name: 'InvalidStateError' }

/** What the newest dial asked for: the value of ws-session. */
const asked = () => /[?&]ws-session=([\w.-]+)$/.exec(newest().url)?.[1] ?? assert.fail(newest().url)
const nonce = () => /^new\.([\w-]{22})$/.exec(asked())?.[1] ?? assert.fail(asked())

type Frame = { session?: string | null; for?: string; resumed?: boolean; received?: number }

function begin(frame: Frame): void {
  newest().opens()
  newest().receives(JSON.stringify({ session: 'A', resumed: false, received: 0, keep: 120, ...frame }))
}

const resume = (session: string, before: string, received: number) =>
  begin({ session, for: before, resumed: true, received })

function buildSession(options: Parameters<typeof build>[0] = {}) {
  const built = build({ session: true, ...options })
  const seen: unknown[] = []
  built.socket.onopen = ({ reconnected }) => seen.push(['open', reconnected])
  built.socket.onresume = () => seen.push('resume')
  built.socket.onlost = ({ unsent }) => seen.push(['lost', unsent])
  built.socket.onmessage = ({ data }) => seen.push(data)
  built.socket.onclose = ({ code }) => seen.push(['close', code])
  return { ...built, seen }
}

/** A session with the token A, cut after what was received and sent in it. */
function cut({ received = [], sends = [] }: { received?: string[]; sends?: string[] } = {}) {
  const built = buildSession()
  begin({ for: nonce() })
  for (const data of received) newest().receives(data)
  for (const data of sends) built.socket.send(data)
  newest().ends(1006)
  built.clock.advance(500)
  built.seen.length = 0
  return built
}

test('a dial asks for a session behind the rest of the URL, which the property does not show', () => {
  const { socket } = buildSession({ url: 'ws://host/ws/chat?a=b%20c' })
  assert.match(newest().url, /^ws:\/\/host\/ws\/chat\?a=b%20c&ws-session=new\.[\w-]{22}$/)
  assert.equal(socket.url, 'ws://host/ws/chat?a=b%20c')
  const { socket: short } = buildSession()
  assert.match(newest().url, /^ws:\/\/host\/\?ws-session=new\.[\w-]{22}$/)
  assert.equal(short.url, 'ws://host/')
})

test('it opens with the session frame, and sends nothing earlier', () => {
  const { socket, seen } = buildSession()
  socket.send('kept')
  newest().opens()
  assert.deepEqual([socket.readyState, newest().sent], [0, []])
  begin({ for: nonce() })
  assert.deepEqual([socket.readyState, newest().sent, seen], [1, ['kept'], [['open', false]]])
})

test('a handshake that is cut is repeated with its nonce, also when the session frame is', () => {
  const { clock, seen } = buildSession()
  const first = nonce()
  newest().ends(1006)
  clock.advance(500)
  assert.equal(nonce(), first)
  newest().opens()
  newest().ends(1006)
  clock.advance(1000)
  assert.equal(nonce(), first)
  begin({ for: first })
  newest().ends(4001)
  assert.deepEqual(seen, [
    ['open', false],
    ['lost', []],
    ['close', 4001],
  ])
  buildSession()
  assert.notEqual(nonce(), first, 'another socket has another')
})

test('a handler without sessions, and a server of another kind, get a plain socket', () => {
  for (const [frame, isOurs] of [
    [{ session: null, for: 'nonce' }, true],
    [{ session: 'A', for: 'somebody' }, false],
  ] as const) {
    const { socket, clock, seen } = buildSession()
    const before = nonce()
    begin({ ...frame, for: isOurs ? before : frame.for })
    newest().receives('\0{"received":1}')
    if (!isOurs) assert.match(String(seen.splice(1, 1)), /"for":"somebody"/)
    assert.deepEqual(seen, [['open', false], '\0{"received":1}'])
    socket.send('lost')
    assert.equal(socket.bufferedAmount, 0)
    newest().ends(1006)
    clock.advance(500)
    assert.notEqual(nonce(), before)
    begin({ for: nonce() })
    assert.deepEqual([seen.at(-1), newest().sent], [['open', true], []])
  }
  const { seen } = buildSession()
  newest().opens()
  const blob = new Blob(['x'])
  for (const data of ['hello', blob]) newest().receives(data)
  assert.deepEqual(seen, [['open', false], 'hello', blob])
})

test('a resume goes on behind what was received, and sends again what did not arrive', () => {
  const { socket, clock, seen } = cut({ received: ['one', '', '\0\0three'], sends: ['a', 'b', 'c'] })
  assert.equal(asked(), 'A.3')
  socket.send('d')
  resume('B', 'A', 2)
  assert.deepEqual([seen, newest().sent, socket.bufferedAmount], [['resume'], ['c', 'd'], 2])
  newest().receives('four')
  newest().ends(1006)
  clock.advance(1000)
  assert.equal(asked(), 'B.4')
  resume('C', 'B', 4)
  assert.deepEqual([seen, newest().sent, socket.bufferedAmount], [['resume', 'four', 'resume'], [], 0])
})

test('what a listener sends when a session is resumed goes behind what was left', () => {
  const { socket } = cut({ sends: ['a', 'b'] })
  socket.onstate = ({ detail }) => detail.state === 'open' && socket.send('c')
  socket.onresume = () => socket.send('d')
  resume('B', 'A', 1)
  assert.deepEqual(newest().sent, ['b', 'c', 'd'])
})

test('what a listener sends when a session opens goes before what was kept', () => {
  const { socket, clock } = buildSession()
  socket.onopen = () => socket.send('sign in')
  socket.send('kept')
  begin({ for: nonce() })
  assert.deepEqual(newest().sent, ['sign in', 'kept'])
  newest().ends(1006)
  clock.advance(500)
  resume('B', 'A', 0)
  assert.deepEqual(newest().sent, ['sign in', 'kept'])
})

test('control texts confirm; a text of the application loses its mark', () => {
  const { socket, seen } = buildSession()
  begin({ for: nonce() })
  for (const data of ['a', 'b', 'c']) socket.send(data)
  for (const text of ['\0{"received":2}', '\0{"received":1}', '\0{"other":7}', '\0', '\0\0', '\0\0{"received":3}'])
    newest().receives(text)
  assert.deepEqual(seen.slice(1), ['\0', '\0{"received":3}'])
  assert.equal(socket.bufferedAmount, 1)
  newest().receives('\0{"received":3}')
  assert.equal(socket.bufferedAmount, 0)
})

test('the bound holds for what is not confirmed, and 1 MB is the default', () => {
  const { socket } = buildSession({ keep: 4 })
  begin({ for: nonce() })
  socket.send('four')
  assert.throws(() => socket.send('5'), REFUSED)
  newest().receives('\0{"received":1}')
  socket.send('5')
  assert.deepEqual(newest().sent, ['four', '5'])
  const { socket: large } = buildSession()
  large.send(new Uint8Array(1_048_576))
  assert.throws(() => large.send('x'), REFUSED)
})

test('a session that is gone: what was not confirmed is returned and not sent, and another session begins', () => {
  for (const frame of [{ session: 'B' }, { session: null }]) {
    const { socket, clock, seen } = cut({ received: ['one'], sends: ['a', 'b'] })
    socket.addEventListener('lost', () => socket.send('again'), { once: true })
    begin({ ...frame, for: 'A' })
    assert.deepEqual(seen, [
      ['lost', ['a', 'b']],
      ['open', true],
    ])
    assert.deepEqual(newest().sent, ['again'])
    newest().ends(1006)
    clock.advance(1000)
    if (frame.session) assert.equal(asked(), 'B.0')
    else nonce()
  }
})

test('a close frame of the server ends the session, except 1012', () => {
  const { socket, clock, seen, states } = buildSession()
  begin({ for: nonce() })
  socket.send('a')
  newest().ends(1012)
  assert.deepEqual(states.at(-1), { state: 'waiting', delay: 0, code: 1012, reason: '', wasClean: true })
  clock.advance(0)
  assert.equal(asked(), 'A.0')
  newest().ends(1012)
  assert.equal((states.at(-1) as { delay: number }).delay, 500, 'without a session frame in between it waits')
  clock.advance(500)
  resume('B', 'A', 0)
  newest().ends(1013)
  assert.deepEqual(seen, [['open', false], 'resume', ['lost', ['a']]])
  clock.advance(1000)
  begin({ for: nonce() })
  newest().ends(4001)
  assert.deepEqual(seen.slice(3), [
    ['open', true],
    ['lost', []],
    ['close', 4001],
  ])
})

test('close: nothing counts as lost, and connect begins a new session', async () => {
  const { socket, seen } = buildSession()
  begin({ for: nonce() })
  socket.send('a')
  socket.close()
  newest().ends(1005)
  assert.deepEqual(
    [seen, socket.bufferedAmount],
    [
      [
        ['open', false],
        ['close', 1005],
      ],
      1,
    ],
  )
  socket.connect()
  begin({ for: nonce() })
  assert.deepEqual([seen.at(-1), newest().sent], [['open', false], []])
  newest().ends(1006)
  socket.close()
  await undefined
  assert.deepEqual(seen.at(-1), ['close', 1006])
})

test('close: a listener of lost may do it', async () => {
  for (const end of [() => newest().ends(1013), () => begin({ session: 'B', for: 'A' })]) {
    const { socket, clock, seen } = cut({ sends: ['a'] })
    socket.addEventListener('lost', () => socket.close(), { once: true })
    end()
    if (newest().readyState < 3) newest().ends(1005)
    await undefined
    assert.deepEqual([socket.state, clock.pending], ['closed', 0])
    assert.equal(seen.filter((what) => String(what).startsWith('close')).length, 1)
    assert.deepEqual(newest().sent, [])
  }
})

test('silence: a session that hears nothing for 30 s dials again, and its old connection is closed when it has another', () => {
  const { clock, seen } = buildSession()
  begin({ for: nonce() })
  clock.advance(29_000)
  newest().receives('\0{"received":0}')
  clock.advance(29_999)
  const dead = newest()
  assert.equal(FakeSocket.made.length, 1)
  clock.advance(1)
  clock.advance(500)
  assert.deepEqual([FakeSocket.made.length, asked()], [2, 'A.0'])
  assert.equal(dead.closedWith, undefined, 'its close frame would end the session')
  resume('B', 'A', 0)
  assert.notEqual(dead.closedWith, undefined)
  dead.receives('late')
  dead.ends(1006)
  assert.deepEqual(seen, [['open', false], 'resume'])
})

test('a dial without a session frame is given up, and a frame that comes late is none', () => {
  const { clock, seen } = buildSession({ timeout: 10_000 })
  newest().opens()
  const slow = newest()
  const first = nonce()
  clock.advance(10_000)
  clock.advance(500)
  assert.equal(nonce(), first)
  slow.receives('{}')
  begin({ for: first })
  assert.deepEqual(seen, [['open', false]])
  assert.notEqual(slow.closedWith, undefined)
})

test('what a lost connection still delivers counts until the next dial', () => {
  const { network, seen } = buildSession()
  begin({ for: nonce() })
  const old = newest()
  network.dispatchEvent(new Event('offline'))
  old.receives('late')
  network.dispatchEvent(new Event('online'))
  old.receives('too late')
  assert.equal(asked(), 'A.1')
  resume('B', 'A', 0)
  newest().receives('too late')
  assert.deepEqual(seen, [['open', false], 'late', 'resume', 'too late'])
})

test('functions: the session is added to what they give', async () => {
  const { clock } = buildSession({ url: async () => 'ws://host/?token=1' })
  await new Promise(setImmediate)
  assert.match(newest().url, /\?token=1&ws-session=new\./)
  begin({ for: nonce() })
  newest().ends(1006)
  clock.advance(500)
  await new Promise(setImmediate)
  assert.match(newest().url, /\?token=1&ws-session=A\.0$/)
})
