import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FolderWatcher } from '../../cli/service/watch.ts'
import { until } from '../support/wait.ts'

test('a file is seen each time: written, replaced by another as editors do, and in folders that come later', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-watch-'))
  mkdirSync(join(folder, 'routes'))
  const seen: string[] = []
  const watcher = new FolderWatcher(folder, (file) => {
    seen.push(file)
  })
  t.after(() => {
    watcher.close()
    rmSync(folder, { recursive: true })
  })
  const sees = async (file: string, change: () => void): Promise<void> => {
    seen.length = 0
    change()
    await until(file, () => seen.includes(file))
  }
  for (let i = 0; i < 3; i++) {
    await sees('routes/a.ts', () => {
      writeFileSync(join(folder, 'a.new'), String(i))
      renameSync(join(folder, 'a.new'), join(folder, 'routes/a.ts'))
    })
    await sees('routes/a.ts', () => writeFileSync(join(folder, 'routes/a.ts'), `again ${i}`))
  }
  for (let i = 0; i < 2; i++) {
    await sees('later', () => mkdirSync(join(folder, 'later')))
    await sees('later/b.ts', () => writeFileSync(join(folder, 'later/b.ts'), ''))
    await sees('later', () => rmSync(join(folder, 'later'), { recursive: true }))
  }
})
