// The walls of the Lua house: a room uses only what is on a lower floor, and nothing forms a circle.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './files.ts'

/** From the ground up. Rooms of one floor do not use each other. docs/architecture.md draws the same picture. */
const FLOORS = [
  ['config'],
  ['protocol', 'runtime'],
  ['telemetry', 'cluster'],
  ['session'],
  ['dispatch', 'push'],
  ['socket', 'control'],
  ['public', 'worker'],
  ['assembly'],
  ['start'],
]

/** It runs alone, in another process, and shares only what is pure. */
const APART = 'configure'
const PURE = 'protocol'

const SOURCES = files('lua/framegate/**/*.lua')

function roomOf(path: string): string {
  return path
    .replace('lua/framegate/', '')
    .replace(/\.lua$/, '')
    .split('/')[0]!
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room))
}

function isAllowed(from: string, to: string): boolean {
  if (from === to) return true
  if (from === APART) return to === PURE
  if (to === APART) return false
  return floorOf(to) < floorOf(from)
}

function breaches(file: string): string[] {
  const room = roomOf(file)
  return read(file)
    .split('\n')
    .flatMap((line, i) =>
      [...line.matchAll(/require[ (]*"framegate\.(\w+)/g)]
        .filter((match) => !isAllowed(room, match[1]!))
        .map(() => `${file}:${i + 1}: ${line.trim()}`),
    )
}

test('a room uses only rooms on lower floors', () => {
  assert.ok(SOURCES.length > 60)
  for (const file of SOURCES) assert.ok(roomOf(file) === APART || floorOf(roomOf(file)) >= 0, `${file} is in a room`)
  assert.deepEqual(SOURCES.flatMap(breaches), [])
})

test('outside of rooms there are at most three files', () => {
  const outside = files('lua/framegate/*.lua')
  assert.ok(outside.length > 0 && outside.length <= 3, outside.join(' '))
})
