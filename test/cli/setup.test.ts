// What the set-up installs: little for a start, all of it for development. A npm of the test's own notes what it is asked.
import assert from 'node:assert/strict'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { project } from '../support/gateway.ts'
import { folder, run } from './framegate.ts'

function program(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
}

type Machine = {
  copy: string
  setup: (...args: string[]) => Promise<string[]>
  asked: () => string[]
}

/** A checkout without packages on a machine with this Node. `npm` makes what the real one makes. */
function machine(t: TestContext, node: string): Machine {
  const [copy, bin] = [folder(t), folder(t)]
  for (const part of ['setup', 'cli', 'lua', 'package.json', 'package-lock.json'])
    cpSync(join(project, part), join(copy, part), { recursive: true })
  program(join(bin, 'node'), node)
  program(
    join(bin, 'npm'),
    `echo "$*" >>npm.log; rm -rf node_modules; mkdir -p node_modules/.bin; touch node_modules/.package-lock.json
     case $* in *--include=optional*) ln -s ${process.execPath} node_modules/.bin/node ;; esac
     case $* in *--include=dev*) touch node_modules/.bin/tsc; chmod +x node_modules/.bin/tsc ;; esac`,
  )
  mkdirSync(join(copy, 'node_modules'))
  return {
    copy,
    setup: async (...args) => {
      const ran = run(t, 'sh', [join(copy, 'setup/setup.sh'), ...args], { PATH: `${bin}:/usr/bin:/bin:/usr/sbin` })
      assert.equal(await ran.ended, 0, ran.output())
      return ran.lines()
    },
    asked: () =>
      existsSync(join(copy, 'npm.log')) ? readFileSync(join(copy, 'npm.log'), 'utf8').trim().split('\n') : [],
  }
}

const NEW = `exec ${process.execPath} "$@"`
const OLD = `case $1 in --version) echo v20.19.0 ;; *) exit 1 ;; esac`

test('a start needs the packages of production, with the Node of the machine', async (t) => {
  const { copy, setup, asked } = machine(t, NEW)
  assert.deepEqual(await setup(), ['framegate: installing the npm packages (22 MB)', 'framegate: installed'])
  assert.deepEqual(asked(), ['ci --omit=dev --omit=optional --no-audit --no-fund'])
  assert.match(readlinkSync(join(copy, 'node_modules/.bin/node')), /\/node$/)
  assert.deepEqual(await setup(), [], 'the second time all is there')

  const first = 'framegate: installing the npm packages for development (400 MB)'
  assert.deepEqual(await setup('--dev'), [first, 'framegate: installed'])
  assert.match(asked()[1]!, /^ci --include=dev --include=optional /)
  assert.deepEqual([await setup('--dev'), await setup()], [[], []])
})

test('a machine whose Node is too old to run framegate gets a newer one', async (t) => {
  const { setup, asked } = machine(t, OLD)
  assert.deepEqual(await setup(), [
    'framegate: installing the npm packages (22 MB) and a newer Node than v20.19.0 (190 MB)',
    'framegate: installed',
  ])
  assert.deepEqual(asked(), ['ci --omit=dev --include=optional --no-audit --no-fund'])
  assert.deepEqual(await setup(), [])
})

test('the command with an old Node: one line', async (t) => {
  const copy = folder(t)
  cpSync(join(project, 'cli'), join(copy, 'cli'), { recursive: true })
  const text = readFileSync(join(project, 'package.json'), 'utf8')
  writeFileSync(join(copy, 'package.json'), text.replace(/">=[\d.]+"/, '">=99.1"'))
  const ran = run(t, process.execPath, [join(copy, 'cli/bin.js'), 'status'])
  assert.equal(await ran.ended, 1)
  assert.deepEqual(ran.lines(), [
    `framegate: Node ${process.version} is too old: expected 99.1 or newer, such as the one that npm start brings (node_modules/.bin/node)`,
  ])
})
