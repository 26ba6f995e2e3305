// NGINX: which nginx `framegate start` runs.
import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { folder, READY, run, startFramegate } from './framegate.ts'

/** A program with this script, in a folder of its own. */
function program(t: TestContext, name: string, script: string): { path: string; place: string } {
  const place = folder(t)
  const path = join(place, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return { path, place }
}

test('NGINX is the nginx that is asked, checked and started; a reload cannot change it', async (t) => {
  const notes = join(folder(t), 'notes')
  const { path } = program(t, 'nginx', `echo "\${NGINX-unset} $*" >>${notes}; exec /usr/sbin/nginx "$@"`)
  const settings = join(folder(t), 'settings')
  writeFileSync(settings, `NGINX=${path}\n`)
  const framegate = await startFramegate(t, { ENV_FILE: settings, WORKERS: '1' })
  await framegate.said(READY)
  const starts = readFileSync(notes, 'utf8').trim().split('\n')
  assert.ok(
    starts.every((line) => /^unset .*-e stderr /.test(line)),
    starts.join('\n'),
  )
  assert.deepEqual(
    [/ -V$/, / -t -q /, /check\.conf/, / -p \S+ -c nginx\/nginx\.conf -g daemon off;$/].map((kind) =>
      starts.some((line) => kind.test(line)),
    ),
    [true, true, true, true],
    starts.join('\n'),
  )

  writeFileSync(settings, '')
  const reload = run(t, process.execPath, ['cli/bin.js', 'reload'], {
    RUN_DIR: framegate.runDirectory,
    ENV_FILE: settings,
  })
  assert.equal(await reload.ended, 1)
  assert.equal(reload.output(), 'framegate: NGINX has changed: restart to change that\n')
  const client = await open(`ws://127.0.0.1:${framegate.port}/ws/echo`)
  assert.equal(await client.ask('still here'), 'still here')
  await client.close()
})

test('a NGINX that is no nginx is refused in one line', async (t) => {
  for (const [path, reason] of [
    ['/nowhere/nginx', "env: '/nowhere/nginx': No such file or directory"],
    ['/bin/sleep', "/bin/sleep: invalid option -- 'e'"],
  ] as const) {
    const framegate = await startFramegate(t, { NGINX: path, LC_ALL: 'C' })
    assert.equal(await framegate.ended, 1)
    assert.deepEqual(framegate.lines(), [`framegate: NGINX=${path}: expected the program of an nginx (${reason})`])
  }
})

test('the set-up installs no nginx beside one that has Lua built in', async (t) => {
  const nginx = program(t, 'nginx', "echo 'configure arguments: --with-threads --add-module=../ngx_lua-0.10.28'").path
  const path = [program(t, 'id', 'echo 1000'), program(t, 'dpkg-query', 'exit 1')].map(({ place }) => place).join(':')
  const setup = run(t, 'sh', ['setup/packages.sh'], { NGINX: nginx, PATH: `${path}:${process.env.PATH}` })
  assert.equal(await setup.ended, 1)
  assert.deepEqual(setup.lines(), [
    'framegate: packages are missing, run: sudo apt-get install -y --no-install-recommends lua-cjson lua5.1',
  ])
})
