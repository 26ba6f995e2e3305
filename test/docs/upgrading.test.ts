// docs/upgrading.md, "From a clone", works as it stands there.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { open } from '../support/client.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'
import { checkout } from './checkout.ts'
import { onlyBlock, page, section } from './markdown.ts'

const UPGRADING = page('docs/upgrading.md')
const execute = promisify(execFile)

test('a clone is upgraded by the lines of the page; what is one’s own stays', async (t) => {
  const made = { clone: '' }
  // Registered before the folder is made, so that it runs before the folder is removed.
  t.after(() => execute('npx', ['framegate', 'stop'], { cwd: made.clone, timeout: 60_000 }))
  const { origin, clone, git } = checkout(t)
  made.clone = clone
  symlinkSync(join(project, 'node_modules'), join(clone, 'node_modules'))
  utimesSync(join(clone, 'package-lock.json'), 0, 0) // older than the packages, which are shared: nothing is installed
  cpSync(join(project, 'lua/vendor'), join(clone, 'lua/vendor'), { recursive: true })
  const port = await freePort()
  writeFileSync(join(clone, '.env'), `PORT=${port}\n`)
  writeFileSync(join(clone, 'nginx/locations.d/mine.conf'), 'location = /mine { return 298; }\n')
  const shell = (text: string) => execute('sh', ['-euc', text], { cwd: clone, timeout: 60_000 })
  const status = async (path: string): Promise<number> => (await fetchOnce(`http://127.0.0.1:${port}${path}`)).status

  await shell('npm start -- --detach')
  assert.deepEqual([await status('/version'), await status('/mine')], [404, 298])
  const socket = await open(`ws://127.0.0.1:${port}/ws/echo`)

  const file = join(origin, 'nginx/public.conf')
  const newer = readFileSync(file, 'utf8').replace(/^ *location \/ \{/m, '    location = /version { return 299; }\n$&')
  writeFileSync(file, newer)
  git('commit', '--quiet', '--all', '--message', 'The next release')
  await shell(onlyBlock(section(UPGRADING, '## From a clone'), 'sh'))
  assert.equal((await socket.closed).code, 1001)
  assert.deepEqual([await status('/version'), await status('/mine')], [299, 298])

  const { stdout } = await shell(onlyBlock(section(UPGRADING, '## Check'), 'sh'))
  assert.match(stdout, /^ok/m)
  const again = await open(`ws://127.0.0.1:${port}/ws/echo`)
  assert.equal(await again.ask('hello'), 'hello')
  await again.close()
})
