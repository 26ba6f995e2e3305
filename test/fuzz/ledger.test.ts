// The fuzzer's own eyes: what it must notice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflated } from '../support/deflate.ts'
import type { Frame } from '../support/raw-socket.ts'
import { type Facts, isQuiet } from './facts.ts'
import { defectOf } from './frames.ts'
import { type Fate, Ledger, type SeenEvent } from './ledger.ts'
import { Random } from './random.ts'

function event(kind: SeenEvent['kind'], number = 0): SeenEvent {
  const id = kind === 'close' ? 'c/close' : `c/${number}`
  return { kind, id, connection: 'c', path: '/ws/x', number, contentType: '', body: Buffer.alloc(0) }
}

/** A ledger to which these events came, one after the other. */
function after(...came: Array<[SeenEvent, Fate?]>): Ledger {
  const ledger = new Ledger()
  for (const [one, fate] of came) {
    const ended = ledger.came(one)
    if (fate) ended(fate)
  }
  return ledger
}

test('a life as it should be is no breach, and owes its close event until that was answered', () => {
  const life: Array<[SeenEvent, Fate?]> = [
    [event('open'), 'again'],
    [event('open'), 'answered'],
    [event('message', 1), 'broken'],
  ]
  assert.deepEqual(after(...life).breaches(), [])
  assert.deepEqual(after(...life).owed(), ['c (/ws/x)'])
  assert.deepEqual(after(...life, [event('close'), 'broken']).owed(), ['c (/ws/x)'])
  const whole = after(...life, [event('close'), 'broken'], [event('close'), 'answered'])
  assert.deepEqual([whole.owed(), whole.breaches()], [[], []])
  assert.deepEqual(after([event('open'), 'refused']).owed(), [])
})

test('what breaks a promise is noticed', () => {
  const breaches: Array<[Array<[SeenEvent, Fate?]>, RegExp]> = [
    [
      [
        [event('open'), 'answered'],
        [event('open'), 'answered'],
      ],
      /sent again after it was answered/,
    ],
    [
      [
        [event('message', 1), 'broken'],
        [event('message', 1), 'answered'],
      ],
      /sent again after it was broken/,
    ],
    [[[event('message', 1)], [event('message', 1)]], /sent again while its answer was still to come/],
    [[[event('open')], [event('message', 1)]], /came before 0 was answered/],
    [
      [
        [event('message', 2), 'answered'],
        [event('message', 1), 'answered'],
      ],
      /came behind 2/,
    ],
    [
      [
        [event('close'), 'answered'],
        [event('message', 1), 'answered'],
      ],
      /came behind the close event/,
    ],
    [
      [
        [event('close'), 'answered'],
        [event('close'), 'answered'],
      ],
      /sent again after it was answered/,
    ],
    [
      [
        [event('open'), 'refused'],
        [event('close'), 'answered'],
      ],
      /was refused and has a close event/,
    ],
  ]
  for (const [came, words] of breaches)
    assert.match(
      after(...came)
        .breaches()
        .join(),
      words,
    )
})

test('a frame that RFC 6455 forbids is noticed', () => {
  const got = (opcode: number, payload: Buffer, { fin = true, rsv = 0 } = {}): Frame => ({ opcode, payload, fin, rsv })
  assert.equal(defectOf(got(1, Buffer.from('hé'))), undefined)
  assert.equal(defectOf(got(8, Buffer.of(3, 232))), undefined)
  assert.match(defectOf(got(1, Buffer.of(255)))!, /not UTF-8/)
  assert.match(defectOf(got(3, Buffer.alloc(0)))!, /opcode 3/)
  assert.match(defectOf(got(2, Buffer.alloc(0), { rsv: 4 }))!, /reserved/)
  assert.equal(defectOf(got(2, deflated('x'), { rsv: 4 }), true), undefined)
  assert.match(defectOf(got(9, Buffer.alloc(0), { rsv: 4 }), true)!, /reserved/)
  assert.match(defectOf(got(1, deflated(Buffer.of(255)), { rsv: 4 }), true)!, /not UTF-8/)
  assert.match(defectOf(got(1, Buffer.of(255), { rsv: 4 }), true)!, /no deflate data/)
  assert.match(defectOf(got(9, Buffer.alloc(126)))!, /control frame/)
  assert.match(defectOf(got(8, Buffer.of(3, 238)))!, /close code 1006/)
  assert.match(defectOf(got(8, Buffer.of(3)))!, /close code 0/)
})

test('whatever is left makes a gateway unquiet', () => {
  const quiet: Facts = {
    connections: 0,
    topics: 0,
    workers: 2,
    missingLinks: 0,
    waiting: 0,
    records: 0,
    tcp: 0,
    dead: 0,
    unended: 0,
    timeouts: 7,
    queued: 0,
    outbox: 0,
    files: 70,
    memory: 5e7,
  }
  assert.ok(isQuiet(quiet, 2))
  for (const name of [
    'connections',
    'topics',
    'missingLinks',
    'waiting',
    'records',
    'tcp',
    'dead',
    'unended',
    'queued',
    'outbox',
  ]) {
    assert.ok(!isQuiet({ ...quiet, [name]: 1 }, 2), name)
  }
  assert.ok(!isQuiet({ ...quiet, workers: 3 }, 2))
})

test('equal seeds choose alike, others do not', () => {
  const choices = (...seed: string[]): string => new Random(...seed).bytes(20).toString('hex')
  assert.equal(choices('a', 'client'), choices('a', 'client'))
  assert.notEqual(choices('a', 'client'), choices('b', 'client'))
  const parts = new Random('a').cut(Buffer.from('whatever'))
  assert.equal(Buffer.concat(parts).toString(), 'whatever')
})
