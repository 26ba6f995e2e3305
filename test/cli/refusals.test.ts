// What `framegate start` refuses, and the line with the reason.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'
import { copyOfProject, folder, processesOf, READY, run, startFramegate } from './framegate.ts'

/** A folder for the front of PATH with one program in it. */
function program(t: TestContext, name: string, script: string): string {
  const path = folder(t)
  writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(path, name), 0o755)
  return `${path}:${process.env.PATH}`
}

test('a port that is taken', async (t) => {
  const other = createServer().listen(0)
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as { port: number }

  const { certificate, key } = certificates(t).make('site')
  const tls = { TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key }
  for (const env of [
    { PORT: String(port) },
    { PORTS: `${await freePort()} ${port}` },
    { TLS_PORT: String(port), ...tls },
    { CONTROL_PORT: `127.0.0.1:${port}`, CONTROL_TOKEN: 'a-long-random-token' },
  ]) {
    const framegate = await startFramegate(t, env)
    assert.equal(await framegate.ended, 1)
    assert.deepEqual(framegate.lines(), [
      `framegate: port ${port} is in use: stop the program that listens there, or set ${Object.keys(env)[0]}`,
    ])
  }
})

test('a control port that is taken, or open on other addresses, is refused by a reload, and nothing changes', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as { port: number }
  const [own, settings] = [await freePort(), join(folder(t), 'settings')]
  const control = (value: string): void =>
    writeFileSync(settings, `CONTROL_PORT=${value}\nCONTROL_TOKEN=a-long-random-token\n`)
  control(`127.0.0.1:${own}`)
  const framegate = await startFramegate(t, { ENV_FILE: settings })
  await framegate.said(READY)
  const [handler] = processesOf(framegate.runDirectory, 'handler/server.ts')
  for (const [value, words] of [
    [`127.0.0.1:${port}`, `port ${port} is in use: stop the program that listens there, or set CONTROL_PORT`],
    [String(own), `port ${own} is open on 127.0.0.1: restart to change that (CONTROL_PORT)`],
  ] as const) {
    control(value)
    const reload = run(t, process.execPath, ['cli/bin.js', 'reload'], {
      ENV_FILE: settings,
      RUN_DIR: framegate.runDirectory,
      PORT: String(framegate.port),
    })
    assert.equal(await reload.ended, 1)
    assert.equal(reload.output(), `framegate: ${words}\n`)
  }
  assert.deepEqual(processesOf(framegate.runDirectory, 'handler/server.ts'), [handler])
})

test('bad values, one line for each', async (t) => {
  const framegate = await startFramegate(t, { PORT: 'abc', MAX_MESSAGE_BYTES: 'huge' })
  assert.equal(await framegate.ended, 1)
  assert.equal(framegate.lines().length, 2, framegate.output())
  assert.match(framegate.output(), /^framegate: PORT=abc: expected /m)
  assert.match(framegate.output(), /^framegate: MAX_MESSAGE_BYTES=huge: expected /m)
})

test('a second start in the same run directory', async (t) => {
  const first = await startFramegate(t)
  await first.said(READY)
  const second = await startFramegate(t, { RUN_DIR: first.runDirectory })
  assert.equal(await second.ended, 1)
  assert.deepEqual(second.lines(), [
    `framegate: framegate is already running in ${first.runDirectory} (pid ${first.process.pid}): stop it, or set RUN_DIR`,
  ])
})

test('an nginx whose Lua module cannot be loaded', async (t) => {
  const reason = 'dlopen() "/usr/lib/nginx/modules/ngx_http_lua_module.so" failed (no such file)'
  const framegate = await startFramegate(t, {
    PATH: program(t, 'nginx', `echo 'nginx: [emerg] ${reason}' >&2; exit 1`),
  })
  assert.equal(await framegate.ended, 1)
  assert.deepEqual(framegate.lines(), [`framegate: nginx has no Lua module, run sh setup/setup.sh (${reason})`])
})

test('a machine without the Lua interpreter', async (t) => {
  const path = folder(t)
  symlinkSync('/usr/bin/flock', join(path, 'flock'))
  const framegate = await startFramegate(t, { PATH: path })
  assert.equal(await framegate.ended, 1)
  assert.deepEqual(framegate.lines(), ['framegate: lua5.1 is missing: run sh setup/setup.sh'])
})

test('a location of the user that nginx does not understand', async (t) => {
  const copy = copyOfProject(t)
  writeFileSync(join(copy, 'nginx/locations.d/mine.conf'), 'lokation / { }\n')
  const framegate = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'], {
    PORT: String(await freePort()),
  })
  assert.equal(await framegate.ended, 1)
  assert.equal(framegate.lines().length, 1, framegate.output())
  assert.match(
    framegate.output(),
    /^framegate: nginx refuses its configuration: unknown directive "lokation" in .*mine\.conf:1/,
  )
})

test('a setting of a location that is no value of it, by start, check and reload', async (t) => {
  const copy = copyOfProject(t)
  const file = join(copy, 'nginx/locations.d/mine.conf')
  const env = { PORT: String(await freePort()), RUN_DIR: folder(t), WORKERS: '1' }
  const framegate = (command: string): ReturnType<typeof run> =>
    run(t, process.execPath, [join(copy, 'cli/framegate.ts'), command], env)
  const wrong = 'nginx/locations.d/mine.conf:2: set $ws_rate abc: expected frames a second from 0.01 to 1000000, or off'
  const refuses = async (command: string): Promise<void> => {
    const refused = framegate(command)
    assert.equal(await refused.ended, 1, command)
    assert.ok(refused.output().includes(wrong), refused.output())
  }
  writeFileSync(file, 'location /ws/slow/ {\n  set $ws_rate abc;\n  include socket.conf;\n}\n')
  await refuses('start')
  await refuses('check')
  writeFileSync(file, 'location /ws/slow/ {\n  set $ws_rate 1;\n  include socket.conf;\n}\n')
  const started = framegate('start')
  await started.said(READY)
  writeFileSync(file, 'location /ws/slow/ {\n  set $ws_rate abc;\n  include socket.conf;\n}\n')
  await refuses('reload')
})

const canBecomeNobody =
  process.getuid!() === 0 &&
  spawnSync('setpriv', ['--reuid=nobody', '--clear-groups', 'test', '-r', `${project}/lua/configure.lua`]).status === 0

test('a log that the workers cannot write', {
  skip: canBecomeNobody ? false : 'workers cannot be another user',
}, async (t) => {
  const logs = folder(t)
  const runDirectory = folder(t)
  chmodSync(runDirectory, 0o755)
  for (const mode of [0o700, 0o755]) {
    chmodSync(logs, mode)
    const { ended, lines } = run(t, 'lua5.1', ['lua/configure.lua', project, runDirectory], {
      SOCKET_LOG: join(logs, 'sockets.log'),
      USER_NAME: 'nobody',
    })
    assert.equal(await ended, 1)
    const expected = 'expected a file that nobody can write: change the owner of its folder'
    assert.deepEqual(lines(), [`framegate: SOCKET_LOG=${logs}/sockets.log: ${expected}`])
  }
})

test('a handler that cannot start', async (t) => {
  const copy = copyOfProject(t)
  writeFileSync(join(copy, 'handler/server.ts'), "console.error('handler: no'); process.exit(1)\n")
  const framegate = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'], {
    PORT: String(await freePort()),
  })
  assert.equal(await framegate.ended, 1)
  assert.deepEqual(framegate.lines(), ['framegate: the handler did not start: no'])
})

test('set-up with a Node that is too old', async (t) => {
  const setup = run(t, 'sh', ['setup/setup.sh'], { PATH: program(t, 'node', 'echo v18.19.0') })
  assert.equal(await setup.ended, 1)
  assert.deepEqual(setup.lines(), ['framegate: Node v18.19.0 is too old: install Node 20 or newer'])
})

test('set-up has nothing to say when all is there', async (t) => {
  const setup = run(t, 'sh', ['setup/setup.sh'])
  assert.equal(await setup.ended, 0)
  assert.equal(setup.output(), '')
})

test('packages that only root can install', async (t) => {
  const path = program(t, 'id', 'echo 1000')
  const setup = run(t, 'sh', ['setup/packages.sh'], {
    PATH: `${program(t, 'dpkg-query', 'exit 1').split(':')[0]}:${path}`,
  })
  assert.equal(await setup.ended, 1)
  assert.deepEqual(setup.lines(), [
    'framegate: packages are missing, run: sudo apt-get install -y --no-install-recommends ' +
      'nginx libnginx-mod-http-lua lua-cjson lua5.1 lua-nginx-dns',
  ])
})

/** An apt that downloads a package with this version number and these files. */
function aptWith(t: TestContext, version: string, files: string): NodeJS.ProcessEnv {
  return {
    PATH: program(
      t,
      'apt-get',
      `
    mkdir -p deb/DEBIAN deb/usr/share/lua/5.1 deb/usr/share/doc/lua-nginx-websocket
    cp -R '${files}/.' deb/usr/share/lua/5.1/ && touch deb/usr/share/doc/lua-nginx-websocket/copyright
    printf 'Package: lua-nginx-websocket\\nVersion: ${version}\\nArchitecture: all\\nMaintainer: A <a@example.org>\\nDescription: a\\n' >deb/DEBIAN/control
    dpkg-deb --build deb package.deb >/dev/null`,
    ),
  }
}

test('another version of the vendored library, or other files under a known version', async (t) => {
  const unknown = run(t, 'sh', ['setup/vendor.sh', folder(t)], aptWith(t, '9.99-1', folder(t)))
  assert.equal(await unknown.ended, 1)
  assert.deepEqual(unknown.lines(), [
    'framegate: lua-nginx-websocket 9.99-1 is not a version that framegate knows (0.08 0.13): run it with docker compose',
  ])

  const other = run(t, 'sh', ['setup/vendor.sh', folder(t)], aptWith(t, '0.13-1', folder(t)))
  assert.equal(await other.ended, 1)
  assert.deepEqual(other.lines(), [
    'framegate: lua-nginx-websocket 0.13-1 does not hold the files of version 0.13: check your apt sources',
  ])
})

test('the same files from another distribution’s build are taken', async (t) => {
  const files = join(project, 'lua/vendor')
  const [, version] = /_VERSION *= *'([\d.]+)'/.exec(readFileSync(join(files, 'nginx/websocket/server.lua'), 'utf8'))!
  const target = folder(t)
  const vendor = run(t, 'sh', ['setup/vendor.sh', target], aptWith(t, `${version}-1build1`, files))
  assert.equal(await vendor.ended, 0, vendor.output())
  assert.deepEqual(
    readFileSync(join(target, 'nginx/websocket/protocol.lua')),
    readFileSync(join(files, 'nginx/websocket/protocol.lua')),
  )
})
