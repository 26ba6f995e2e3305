// What the dashboard makes of numbers: rates, percentiles, words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { duration, rate } from '../../web/dashboard/format.js'
import { fits, sorted } from '../../web/dashboard/listing.js'
import { Readings } from '../../web/dashboard/readings.js'
import { parseRoute, routeTo } from '../../web/dashboard/route.js'
import { bytes } from '../../web/shared/bytes.js'
import { latency, quantile } from '../../web/shared/latency.js'

/** What /status says after so many frames, each an event that took below a bound. */
function status(frames: number, { started = 'A', slow = 0 } = {}) {
  return {
    started,
    connections: 3,
    frames: { in: frames, out: 2 * frames },
    bytes: { in: 0, out: 0 },
    pushes: { requests: 0 },
    handler: {
      events: frames,
      latency: {
        buckets: [
          [0.1, frames - slow],
          [0.2, frames],
          ['+Inf', frames],
        ],
      },
    },
  }
}

test('rates are differences of two readings, and begin again after a pause or a restart', () => {
  const readings = new Readings()
  assert.equal(readings.add(status(100), 0).in, null)
  const second = readings.add(status(300), 4_000)
  assert.deepEqual([second.in, second.out, second.pushes], [50, 100, 0])
  assert.equal(readings.add(status(10, { started: 'B' }), 6_000).in, null, 'another gateway counts from 0')
  assert.equal(readings.add(status(20, { started: 'B' }), 8_000).in, 5)
  readings.pause()
  readings.pause()
  assert.equal(readings.add(status(500, { started: 'B' }), 60_000).in, null)
  assert.deepEqual(readings.series.in, [null, 50, null, null, 5, null, null])
  assert.deepEqual(readings.series.connections, [3, 3, null, 3, 3, null, 3])
  for (let i = 0; i < 500; i++) readings.add(status(500 + i, { started: 'B' }), 62_000 + 2_000 * i)
  assert.equal(readings.series.in.length, 150)
})

test('percentiles are those of the last minute', () => {
  const readings = new Readings()
  assert.deepEqual(readings.add(status(100), 0).latency, [null, null, null])
  assert.deepEqual(readings.add(status(200), 2_000).latency, [0.05, 0.095, 0.099])
  const [p50, p95] = readings.add(status(300, { slow: 100 }), 65_000).latency
  assert.deepEqual([p50, p95], [null, null], 'nothing older than a minute is compared with')
  const [later] = readings.add(status(400, { slow: 200 }), 67_000).latency
  assert.ok(Math.abs(later! - 0.15) < 1e-9)
  assert.equal(
    quantile(0.5, [
      [0.1, 0],
      ['+Inf', 4],
    ]),
    0.1,
  )
  assert.equal(quantile(0.5, []), null)
})

test('numbers as people read them', () => {
  assert.deepEqual([null, 0, 0.04, 9.96, 99.94, 100, 12_345.6].map(rate), [
    '–',
    '0',
    '0.0',
    '10.0',
    '99.9',
    '100',
    '12,346',
  ])
  assert.deepEqual([0, 1, 1023, 1024, 10_240, 1_048_576, 2.5e9].map(bytes), [
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KiB',
    '10 KiB',
    '1.0 MiB',
    '2.3 GiB',
  ])
  assert.deepEqual([0, 59, 60, 61, 3_600, 11_520, 90_000, 86_400].map(duration), [
    '0 s',
    '59 s',
    '1 min',
    '1 min 1 s',
    '1 h',
    '3 h 12 min',
    '1 d 1 h',
    '1 d',
  ])
  assert.deepEqual([null, 0.0004, 0.0123, 2].map(latency), ['–', '0.4 ms', '12 ms', '2.0 s'])
})

test('a search looks at everything that names a connection; equals stay in order', () => {
  const facts = { id: 'AbC', address: '10.0.0.7', path: '/ws/x?y', topics: ['Tea', '<b>'] }
  for (const needle of ['', ' ', 'abc', '0.0.7', 'X?', 'tea', '<B>']) assert.ok(fits(facts, needle), needle)
  assert.ok(fits({ ...facts, user: 'Zoë' }, 'ZOË'))
  assert.ok(!fits(facts, 'zoë') && !fits(facts, 'undefined'))
  const rows = [
    { n: 'user10', v: 1 },
    { n: 'user9', v: 2 },
    { n: 'Ada', v: 1 },
  ]
  assert.deepEqual(
    sorted(rows, ({ n }) => n, false).map(({ n }) => n),
    ['Ada', 'user9', 'user10'],
  )
  assert.deepEqual(
    sorted(rows, ({ v }) => v, true).map(({ n }) => n),
    ['user9', 'user10', 'Ada'],
  )
})

test('a topic may be called anything, and still stands in the address', () => {
  for (const name of ['news', 'a/b c', '%', '..', '#?&', '<img>', '☃'])
    assert.deepEqual(parseRoute(routeTo('topics', name)), { view: 'topics', name })
  assert.deepEqual(parseRoute(routeTo('closes', 'a-b_c')), { view: 'closes', name: 'a-b_c' })
  for (const hash of ['', '#', '#/', '#/nowhere', '#/connections'])
    assert.deepEqual(parseRoute(hash), { view: 'connections', name: undefined })
  assert.deepEqual(parseRoute('#/topics/%'), { view: 'topics', name: '%' })
})
