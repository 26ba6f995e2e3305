// Which user the workers and the handler run as.
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket, children, project } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { copyOfProject, folder, processesOf, READY, run, startFramegate } from './framegate.ts'

const isRoot = process.getuid!() === 0
const skip = isRoot ? false : 'only root can become another user'
const AS_WWW_DATA = ['--reuid=www-data', '--regid=www-data', '--init-groups']
const isReadable =
  isRoot && spawnSync('setpriv', [...AS_WWW_DATA, 'test', '-r', `${project}/cli/framegate.ts`]).status === 0

function userOf(pid: number): number {
  return Number(/^Uid:\t\d+\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
}

function uid(name: string): number {
  return Number(spawnSync('id', ['-u', name], { encoding: 'utf8' }).stdout)
}

function publicFolder(t: TestContext): string {
  const path = folder(t)
  chmodSync(path, 0o755)
  return path
}

test('started as root, workers and handler run as another user; frames, pushes and the command work', {
  skip: skip || (isReadable ? false : 'the project lies where www-data cannot read it'),
}, async (t) => {
  const framegate = await startFramegate(t, {
    RUN_DIR: publicFolder(t),
    USER_NAME: 'www-data',
    WORKERS: '2',
    HANDLER_WAIT: '1m', // for which an event waits while a slow machine starts another handler
  })
  await framegate.said(READY)
  const { port, runDirectory } = framegate
  const [master] = processesOf(runDirectory, 'nginx: master') as [number]
  const [handler] = processesOf(runDirectory, 'handler/server.ts') as [number]
  assert.equal(userOf(master), 0)
  const others = [...children(master), handler]
  assert.equal(others.length, 3)
  // The gateway answers when one worker does. Another one may still be about to change its user.
  await until('all are another user', () => others.every((pid) => userOf(pid) === uid('www-data')))

  const socket = await open(`ws://127.0.0.1:${port}/ws/echo`)
  const large = 'x'.repeat(900_000)
  assert.equal(await socket.ask(large), large)
  const push = run(t, process.execPath, ['cli/bin.js', 'broadcast', 'from root'], { RUN_DIR: runDirectory })
  assert.equal(await push.ended, 0, push.output())
  assert.equal(await socket.next(), 'from root')
  for (const path of ['/status', '/metrics'])
    assert.equal((await askSocket(path, `${runDirectory}/control/control.sock`)).status, 200, path)
  const page = await fetch(`http://127.0.0.1:${port}/`)
  assert.equal(page.status, 200)
  const chat = await open(`ws://127.0.0.1:${port}/ws/chat/hall`)
  chat.socket.send('{"join":"Ada"}')
  assert.deepEqual((await chat.json()).people, [], 'the handler may ask the gateway')

  process.kill(handler, 'SIGKILL')
  const successor = await until('it starts again', () =>
    processesOf(runDirectory, 'handler/server.ts').find((pid) => pid !== handler),
  )
  await until('as the same user', () => userOf(successor) === uid('www-data'))
  assert.equal(await socket.ask('again'), 'again')
  process.kill(master, 'SIGHUP')
  await until('new workers', () => children(master).length >= 3)
  const next = await open(`ws://127.0.0.1:${port}/ws/echo`)
  assert.equal(await next.ask('after a reload'), 'after a reload')
  for (const each of [socket, chat, next]) each.socket.terminate()
  framegate.process.kill('SIGKILL')
  await until('all of it ends', () => processesOf(runDirectory).length === 0)
})

test('a project that no other user can read: root stays root and says so, but not if USER_NAME says who', {
  skip,
}, async (t) => {
  const copy = copyOfProject(t)
  const start = join(copy, 'cli/framegate.ts')
  const named = run(t, process.execPath, [start, 'start'], { PORT: String(await freePort()), USER_NAME: 'www-data' })
  assert.equal(await named.ended, 1)
  assert.deepEqual(named.lines(), [
    `framegate: USER_NAME=www-data: expected a user who can read ${copy}/lua: change its mode, or move the project`,
  ])

  const framegate = run(t, process.execPath, [start, 'start'], { PORT: String(await freePort()) })
  await framegate.said(READY)
  assert.match(framegate.output(), /^framegate: workers and handler run as root, because \S+ cannot read \S+\/lua: /m)
  const [handler] = processesOf(copy, 'handler/server.ts') as [number]
  assert.equal(userOf(handler), 0)
})

test('who is not root may use a certificate, and cannot become somebody else', {
  skip: skip || (isReadable ? false : 'the project lies where www-data cannot read it'),
}, (t) => {
  const pki = certificates(t)
  const { certificate, key } = pki.make('site')
  const runDirectory = folder(t)
  for (const path of [pki.folder, runDirectory]) chmodSync(path, 0o777)
  const configure = (env: Record<string, string>): SpawnSyncReturns<string> =>
    spawnSync('setpriv', [...AS_WWW_DATA, 'lua5.1', join(project, 'lua/configure.lua'), project, runDirectory], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    })

  assert.match(
    configure({ TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key }).stderr,
    /^framegate: TLS_CERTIFICATE_KEY=\S+: expected .*Permission denied/,
  )
  chmodSync(key, 0o644)
  const { status, stderr } = configure({ TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key })
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  assert.equal(
    configure({ USER_NAME: 'root' }).stderr,
    'framegate: USER_NAME=root: expected a start as root: nobody else can become another user\n',
  )
})

test('a USER_NAME that nobody has is refused in one line', { skip }, (t) => {
  const { status, stderr } = spawnSync('lua5.1', [join(project, 'lua/configure.lua'), project, folder(t)], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, USER_NAME: 'nobody-here' },
  })
  assert.equal(status, 1)
  assert.equal(
    stderr,
    'framegate: USER_NAME=nobody-here: expected a user of this machine, as getent passwd lists them\n',
  )
})
