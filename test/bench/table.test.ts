// The bench's tables: who stands beside framegate, and which goals are met.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Row, toMarkdown } from '../../bench/table.ts'

const row = (more: Partial<Row>): Row => ({ section: 'a', figure: 'frames/s', digits: 0, rounds: {}, ...more })
const goals = (more: Partial<Row>): string =>
  toMarkdown([row({ rounds: { framegate: [10, 30, 20], bare: [10, 10, 40] }, ...more })])
    .split(' | ')
    .at(-1)!

test('values and ratios are medians of the rounds', () => {
  assert.equal(
    toMarkdown([row({ rounds: { framegate: [1000, 3000, 2000], bare: [1000, 1000, 4000] } })]),
    [
      '|  | median of the rounds | framegate | bare ws echo | framegate / bare ws echo | goal |',
      '| --- | --- | ---: | ---: | ---: | --- |',
      '| a | frames/s | 2,000 | 1,000 | 1.00 |  |',
    ].join('\n'),
  )
})

test('sections that compare the same share a table, whoever has no value in a row', () => {
  const all = { framegate: [1], middle: [2], bare: [4] }
  const { bare: _, ...withoutBare } = all
  const tables = toMarkdown([
    row({ rounds: all }),
    row({ rounds: withoutBare, figure: 'handler' }),
    row({ rounds: all, section: 'b' }),
    row({ rounds: { framegate: [1], node: [2] }, section: 'c' }),
  ]).split('\n\n')
  assert.equal(tables.length, 2)
  assert.match(tables[0]!, /\n\| {2}\| handler \| 1 \| 2 \| {2}\| 0.50 \| {2}\| {2}\|\n\| b \|/)
  assert.match(tables[1]!, /^\| {2}\| median of the rounds \| framegate \| Node ws \| framegate \/ Node ws \| goal \|/)
})

test('a goal is met or missed', () => {
  assert.equal(goals({ atLeast: { bare: 1 } }), '≥ 1 × bare ws echo: met |')
  assert.equal(goals({ atLeast: { bare: 1.1 } }), '≥ 1.1 × bare ws echo: missed |')
  assert.equal(goals({ atMost: { bare: 0.9 } }), '≤ 0.9 × bare ws echo: missed |')
  assert.equal(goals({ limit: 20 }), '≤ 20: met |')
  assert.equal(goals({ limit: 19 }), '≤ 19: missed |')
  assert.equal(goals({ limit: 20, atLeast: { bare: 2 } }), '≥ 2 × bare ws echo, ≤ 20: missed |')
})

test('a goal beside a peer that is not there is left out', () => {
  assert.equal(goals({ atLeast: { nchan: 1 } }), ' |')
})
