// What lua/configure.lua makes in the run directory: modes, no links, and nothing half-written.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'
import { folder, READY, run, startFramegate } from './framegate.ts'

const isRoot = process.getuid!() === 0
const skip = isRoot ? false : 'only root has folders of other users'

test('links in the place of folders and settings are not followed', async (t) => {
  for (const name of ['internal', 'control', 'temp', 'settings.json', 'nginx']) {
    const path = folder(t)
    const victim = join(folder(t), 'victim')
    mkdirSync(victim, { mode: 0o700 })
    symlinkSync(victim, join(path, name))
    const framegate = await startFramegate(t, { RUN_DIR: path })
    assert.equal(await framegate.ended, 1)
    assert.equal(framegate.lines().length, 1, framegate.output())
    assert.match(
      framegate.output(),
      new RegExp(`/${name} is a symbolic link, which the gateway does not follow: remove it`),
    )
    assert.equal(statSync(victim).mode & 0o777, 0o700)
  }
})

test('modes are set, whatever the umask', async (t) => {
  for (const umask of ['027', '077', '000']) {
    const path = join(folder(t), 'run')
    chmodSync(join(path, '..'), 0o755)
    const env = { RUN_DIR: path, PORT: String(await freePort()), WORKERS: '1' }
    const framegate = run(t, 'sh', ['-c', `umask ${umask}; exec ${process.execPath} cli/framegate.ts start`], env)
    await framegate.said(READY)
    const modeOf = (name: string): number => statSync(join(path, name)).mode & 0o777
    assert.equal(modeOf('.') & 0o022, 0, 'nobody else writes')
    if (isRoot) assert.equal(modeOf('.') & 0o111, 0o111, 'workers go through')
    assert.deepEqual(
      ['internal', 'control', 'handler', 'temp', 'settings.json', 'framegate.lock'].map((name) =>
        modeOf(name).toString(8),
      ),
      ['700', '750', '755', '755', '600', '600'],
    )
    const upload = await fetch(`http://127.0.0.1:${env.PORT}/`, { method: 'POST', body: Buffer.alloc(100_000) })
    assert.equal(upload.status, 405, 'the demo site takes no uploads, but they reach it')
    framegate.process.kill('SIGTERM')
    await framegate.ended
  }
})

test('a settings.json that a full disk left empty does not matter', async (t) => {
  const path = folder(t)
  writeFileSync(join(path, 'settings.json'), '')
  const framegate = await startFramegate(t, { RUN_DIR: path })
  await framegate.said(READY)
  assert.ok(JSON.parse(readFileSync(join(path, 'settings.json'), 'utf8')).ports)
})

test('no space left: a line says so, and what was there still counts', { skip }, (t) => {
  const path = folder(t)
  const script = `mount -t tmpfs -o size=200k tmpfs "$RUN" && PORT=1234 lua5.1 lua/configure.lua "$PROJECT" "$RUN" >/dev/null &&
    cp "$RUN/settings.json" "$RUN.before" && { cat /dev/zero >"$RUN/filling" 2>/dev/null; PORT=4321 lua5.1 lua/configure.lua "$PROJECT" "$RUN"
    cmp "$RUN/settings.json" "$RUN.before" && ls "$RUN" "$RUN/nginx/generated" | grep new; rm "$RUN.before"; true; }`
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script], {
    cwd: project,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, RUN: path, PROJECT: project },
  })
  assert.equal(status, 0, stderr)
  assert.match(stderr, /^framegate: could not (write|prepare) \S+: No space left on device\n$/)
  assert.equal(stdout, '', 'the settings are those of before, and nothing half-written is left')
  assert.ok(!existsSync(`${path}.before`))
})
