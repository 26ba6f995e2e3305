// setup/framegate.service works on a fresh clone: its lines are run as systemd runs them.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { READY, run } from '../cli/framegate.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { isOffline } from '../support/offline.ts'
import { checkout } from './checkout.ts'
import { onlyBlock, page, section } from './markdown.ts'

const UNIT = page('setup/framegate.service')
const execute = promisify(execFile)
/** What systemd gives to a service of the system: systemd.exec(5), "Environment Variables in Spawned Processes". */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The words of a line of the unit, for a clone in another place. */
function words(name: string, clone: string): string[] {
  const [, value] = new RegExp(`^${name}=(.+)$`, 'm').exec(UNIT)!
  return value!.replaceAll('/srv/framegate', clone).split(' ')
}

/** Runs a line of the unit as systemd does: without a shell, and with next to no environment. */
function line(name: string, clone: string): Promise<{ stdout: string; stderr: string }> {
  const [command, ...args] = words(name, clone)
  return execute(command!, args, { cwd: clone, env: { PATH, LANG: 'C.UTF-8' } })
}

test('the unit starts, reloads and stops a fresh clone', { timeout: 240_000 }, async (t: TestContext) => {
  const { clone } = checkout(t)
  const port = await freePort()
  writeFileSync(join(clone, '.env'), `PORT=${port}\n`)
  try {
    await line('ExecStartPre', clone)
  } catch (error) {
    if (isOffline(error)) return t.skip('the npm packages cannot be downloaded here')
    throw error
  }
  const [command, ...args] = words('ExecStart', clone)
  const started = run(t, '/usr/bin/env', ['-i', `--chdir=${clone}`, `PATH=${PATH}`, command!, ...args])
  const url = `ws://127.0.0.1:${port}/ws/echo`
  await started.said(READY)
  const socket = await open(url)
  assert.match((await line('ExecReload', clone)).stdout, /^reloaded/)
  assert.equal(await socket.ask('still here'), 'still here')
  started.process.kill('SIGTERM')
  assert.equal(await started.ended, 0, started.output())
  assert.equal((await socket.closed).code, 1001)
  verify(t, clone)
})

test('systemd waits longer than the longest stop: STOP_SECONDS=1h and 5 s, for nginx and then for the handler', () => {
  const [, hours, minutes] = /^TimeoutStopSec=(\d+)h(\d+)min$/m.exec(UNIT)!
  assert.ok(Number(hours) * 3600 + Number(minutes) * 60 > 2 * (3600 + 5))
})

/** systemd's own opinion, where there is a systemd. */
function verify(t: TestContext, clone: string): void {
  const units = join(clone, 'run/units')
  mkdirSync(units)
  const unit = join(units, 'framegate.service')
  writeFileSync(unit, UNIT.replaceAll('/srv/framegate', clone))
  const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
  if (error) return t.diagnostic('no systemd-analyze here')
  assert.deepEqual([stderr, status], ['', 0])
}

test('docs/operating.md installs the unit where systemd looks, and enables it', () => {
  const lines = onlyBlock(section(page('docs/operating.md'), '### Under systemd'), 'sh')
    .trim()
    .split('\n')
  assert.deepEqual(lines, [
    'sudo install -m 644 setup/framegate.service /etc/systemd/system/',
    'sudo systemctl daemon-reload',
    'sudo systemctl enable --now framegate',
  ])
  assert.match(UNIT, /^\[Install\]\nWantedBy=multi-user.target$/m)
})
