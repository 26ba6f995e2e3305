// The run directory is its owner's alone: nobody else can hinder a start, or lead it to files elsewhere.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { folder, READY, type Run, run, startFramegate } from './framegate.ts'

const skip = process.getuid!() === 0 ? false : 'only root can give a folder away'

function command(t: TestContext, runDirectory: string, ...args: string[]): Run {
  return run(t, process.execPath, ['cli/bin.js', ...args], { RUN_DIR: runDirectory })
}

/** Every command that writes to the run directory is refused with this one line, or with it and what `check` adds. */
async function refused(t: TestContext, runDirectory: string, line: RegExp): Promise<void> {
  for (const args of [['start'], ['start', '--detach'], ['check']]) {
    const ran = command(t, runDirectory, ...args)
    assert.equal(await ran.ended, 1, args.join(' '))
    assert.match(ran.output(), line)
    assert.ok(ran.lines().length <= 2, ran.output())
  }
}

test('a path that is too long for sockets', async (t) => {
  const long = join(folder(t), 'x'.repeat(110))
  for (const args of [['start'], ['start', '-d'], ['stop'], ['check']]) {
    const ran = command(t, long, ...args)
    assert.equal(await ran.ended, 1)
    assert.deepEqual(ran.lines(), [
      `framegate: RUN_DIR=${long}: expected a path of at most 84 bytes: choose a shorter one`,
    ])
  }
})

test('a folder, or a lock, that another user owns', { skip }, async (t) => {
  const foreign = folder(t)
  chownSync(foreign, 1, 1)
  await refused(
    t,
    foreign,
    /^(WRONG {2}configuration {2}|framegate: )\S+ belongs to daemon: start the gateway as daemon, /,
  )

  const planted = folder(t)
  writeFileSync(join(planted, 'framegate.lock'), '')
  chownSync(join(planted, 'framegate.lock'), 1, 1)
  const ran = command(t, planted, 'start')
  assert.equal(await ran.ended, 1)
  assert.deepEqual(ran.lines(), [`framegate: ${planted}/framegate.lock belongs to another user: remove it`])
})

test('a folder that everybody can write to is closed', async (t) => {
  const path = folder(t)
  chmodSync(path, 0o777)
  const framegate = await startFramegate(t, { RUN_DIR: path })
  await framegate.said(READY)
  assert.equal(statSync(path).mode & 0o777, 0o755)
})

test('a symbolic link in the place of a file is not followed', async (t) => {
  const treasure = join(folder(t), 'treasure')
  writeFileSync(treasure, 'gold')
  for (const [file, args] of [
    ['framegate.pid', ['start']],
    ['framegate.lock', ['start']],
    ['framegate.log', ['start', '--detach']],
  ] as const) {
    const runDirectory = folder(t)
    symlinkSync(treasure, join(runDirectory, file))
    const ran = command(t, runDirectory, ...args)
    assert.equal(await ran.ended, 1)
    assert.deepEqual(ran.lines(), [`framegate: ${runDirectory}/${file} is a symbolic link: remove it`])
    assert.equal(readFileSync(treasure, 'utf8'), 'gold')
  }
})

test('another program cannot take the lock by its name', async (t) => {
  const runDirectory = join(folder(t), 'run')
  mkdirSync(runDirectory)
  const name = `\0framegate-${createHash('sha256').update(runDirectory).digest('hex')}`
  const other = createServer().listen({ path: name })
  await once(other, 'listening')
  t.after(() => other.close())
  const framegate = await startFramegate(t, { RUN_DIR: runDirectory })
  await framegate.said(READY)

  const second = command(t, runDirectory, 'start')
  assert.equal(await second.ended, 1)
  assert.match(second.output(), /^framegate: framegate is already running in \S+ \(pid \d+\): /)
  const lock = run(t, 'setpriv', ['--reuid=daemon', '--clear-groups', 'cat', join(runDirectory, 'framegate.lock')])
  if (!skip) assert.notEqual(await lock.ended, 0)
})
