// Whether the bench's sections run and give figures. How large these are is nobody's concern here.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { Row } from '../../bench/table.ts'

const PROGRAM = join(import.meta.dirname, '../../bench/run.ts')
const SMALL = ['--seconds=0.1', '--warm-up=0.1', '--rounds=1', '--sockets=2', '--subscribers=3', '--others=3']

/** Who is compared in each section. Nchan is only where its module is installed. */
const SECTIONS: Record<string, string[]> = {
  frames: ['framegate', 'middle', 'capture', 'bare'],
  sizes: ['framegate', 'middle', 'bare'],
  json: ['framegate', 'unchecked', 'middle'],
  tls: ['framegate', 'plain', 'middle'],
  active: ['framegate', 'pinging', 'middle', 'bare'],
  push: ['framegate', 'node', 'loop'],
  fanout: ['framegate', 'node', 'loop'],
  compressed: ['framegate', 'node'],
}

for (const [section, peers] of Object.entries(SECTIONS)) {
  test(`the section ${section} has figures of everybody`, async () => {
    const rows = await bench(`--only=${section}`)
    assert.ok(rows.length >= 3)
    assert.deepEqual(
      peers.filter((peer) => !rows.some(({ rounds }) => peer in rounds)),
      [],
    )
    for (const { figure, rounds } of rows) {
      assert.ok('framegate' in rounds, figure)
      for (const [peer, values] of Object.entries(rounds))
        assert.ok(values.length === 1 && Number.isFinite(values[0]) && values[0]! >= 0, `${figure}, ${peer}: ${values}`)
    }
  })
}

async function bench(...args: string[]): Promise<Row[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, '--json', ...SMALL, ...args])
  return JSON.parse(stdout).rows
}
