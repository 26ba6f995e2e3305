// Watching files for `framegate dev`.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { watchFiles } from '../../cli/service/watch.ts'
import { until } from '../support/wait.ts'

/** Watches `routes/` and `.env` of a new folder. `sees` makes a change, and waits until it is reported. */
async function watching(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-watch-'))
  mkdirSync(join(folder, 'routes'))
  const reports: string[][] = []
  const watcher = watchFiles({
    paths: [join(folder, 'routes'), join(folder, '.env')],
    matches: (file) => /\.(ts|env)$/.test(file),
    edited: (files) => reports.push(files.map((file) => relative(folder, file))),
  })
  t.after(async () => {
    await watcher.close()
    rmSync(folder, { recursive: true })
  })
  await watcher.ready
  const sees = async (file: string, change: () => void): Promise<void> => {
    reports.length = 0
    change()
    await until(file, () => reports.flat().includes(file))
  }
  return { folder, reports, sees }
}

test('a file is seen each time: written, replaced by another as editors do, and in folders that come later', async (t) => {
  const { folder, sees } = await watching(t)
  for (let i = 0; i < 3; i++) {
    await sees('routes/a.ts', () => {
      writeFileSync(join(folder, 'a.new'), String(i))
      renameSync(join(folder, 'a.new'), join(folder, 'routes/a.ts'))
    })
    await sees('routes/a.ts', () => writeFileSync(join(folder, 'routes/a.ts'), `again ${i}`))
  }
  for (let i = 0; i < 2; i++) {
    mkdirSync(join(folder, 'routes/later'))
    await sees('routes/later/b.ts', () => writeFileSync(join(folder, 'routes/later/b.ts'), ''))
    await sees('routes/later/b.ts', () => rmSync(join(folder, 'routes/later'), { recursive: true }))
  }
})

test('a file that does not exist is seen when it comes, and its neighbours are not', async (t) => {
  const { folder, reports, sees } = await watching(t)
  for (let i = 0; i < 2; i++) {
    await sees('.env', () => writeFileSync(join(folder, '.env'), 'A=1'))
    await sees('.env', () => {
      writeFileSync(join(folder, 'other.ts'), '')
      writeFileSync(join(folder, '.env'), 'A=2')
    })
    await sees('.env', () => rmSync(join(folder, '.env')))
    assert.deepEqual(reports, [['.env']])
  }
})

test('edits at the same time are one report, of files that match', async (t) => {
  const { folder, reports, sees } = await watching(t)
  await sees('routes/c.ts', () => {
    for (const name of ['a.ts', 'b.txt', 'c.ts']) writeFileSync(join(folder, 'routes', name), '')
  })
  assert.deepEqual(
    reports.map((files) => files.toSorted()),
    [['routes/a.ts', 'routes/c.ts']],
  )
})
