// The program of the handler: its environment, and where it listens.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import { build } from '../../handler/app.ts'
import { readConfig } from '../../handler/config.ts'
import { event, request } from '../plugin/support.ts'

const SERVER = path.resolve(import.meta.dirname, '../../handler/server.ts')
/** A test starts up to five programs, each of which needs half a second of a processor, and more of one that is busy. */
const LIMIT_MS = 60_000

function start(t: test.TestContext, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** Waits for the line that says where it listens. */
async function listening(child: ChildProcess): Promise<string> {
  for await (const line of createInterface(child.stdout!)) {
    const [, address] = /^handler: listening on (.+)$/.exec(line) ?? []
    if (address) return address
  }
  throw new Error('the server ended without listening')
}

async function failure(t: test.TestContext, env: Record<string, string>): Promise<{ code: number; lines: string[] }> {
  const child = start(t, env)
  const [errors, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  return { code, lines: errors.trimEnd().split('\n') }
}

function folder(t: test.TestContext): string {
  const name = mkdtempSync(path.join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(name, { recursive: true }))
  return name
}

test('a bad value is one line that names the variable, the value and what was expected', {
  timeout: LIMIT_MS,
}, async (t) => {
  const faults: [Record<string, string>, string][] = [
    [
      { HANDLER_LISTEN: '3000' },
      'HANDLER_LISTEN=3000: expected unix:/path/to.sock or host:port, for example 0.0.0.0:3000',
    ],
    [
      { HANDLER_LISTEN: '0.0.0.0:70000' },
      'HANDLER_LISTEN=0.0.0.0:70000: expected unix:/path/to.sock or host:port, for example 0.0.0.0:3000',
    ],
    [
      { HANDLER_LOG_LEVEL: 'loud' },
      'HANDLER_LOG_LEVEL=loud: expected one of fatal, error, warn, info, debug, trace, silent',
    ],
    [
      { MAX_MESSAGE_BYTES: '1 MiB' },
      'MAX_MESSAGE_BYTES=1 MiB: expected a size from 1 byte to 1g, such as 65536, 64k or 16m',
    ],
    [{ MAX_MESSAGE_BYTES: '0' }, 'MAX_MESSAGE_BYTES=0: expected a size from 1 byte to 1g, such as 65536, 64k or 16m'],
  ]
  await Promise.all(
    faults.map(async ([env, line]) => {
      assert.deepEqual(await failure(t, env), { code: 1, lines: [`handler: ${line}`] })
    }),
  )
})

test('the environment has defaults, and hosts of every kind', () => {
  assert.deepEqual(readConfig({}), {
    listen: { host: '0.0.0.0', port: 3000 },
    logLevel: 'warn',
    maxMessageBytes: 1048576,
    secret: null,
  })
  assert.deepEqual(readConfig({ HANDLER_LISTEN: 'unix:/a b/c.sock' }).listen, { path: '/a b/c.sock' })
  assert.deepEqual(readConfig({ HANDLER_LISTEN: '[::1]:80' }).listen, { host: '::1', port: 80 })
  assert.deepEqual(readConfig({ HANDLER_LISTEN: 'localhost:0', MAX_MESSAGE_BYTES: '5' }).maxMessageBytes, 5)
  assert.deepEqual(readConfig({ MAX_MESSAGE_BYTES: '64k' }).maxMessageBytes, 65536)
})

test('an address that cannot be listened on is one line that says what to do', { timeout: LIMIT_MS }, async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const taken = await failure(t, { HANDLER_LISTEN: `127.0.0.1:${port}` })
  assert.deepEqual(taken, {
    code: 1,
    lines: [`handler: 127.0.0.1:${port} is taken: stop what listens there, or set HANDLER_LISTEN to another address`],
  })
  const missing = await failure(t, { HANDLER_LISTEN: `unix:${folder(t)}/none/x.sock` })
  assert.equal(missing.lines.length, 1)
  assert.match(missing.lines[0]!, /\/none does not exist: make it/)
  const foreign = await failure(t, { HANDLER_LISTEN: '192.0.2.1:3000' })
  assert.deepEqual(foreign.lines, [
    'handler: 192.0.2.1:3000 is no address of this machine: set HANDLER_LISTEN to another one',
  ])
})

test('it listens on a unix socket, over one that a killed handler left, but not over a living one or a file', {
  timeout: LIMIT_MS,
}, async (t) => {
  const file = path.join(folder(t), 'h.sock')
  const env = { HANDLER_LISTEN: `unix:${file}` }
  const killed = start(t, env)
  assert.equal(await listening(killed), `unix:${file}`)
  assert.match((await failure(t, env)).lines[0]!, /is taken/)
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  assert.ok(existsSync(file))
  const child = start(t, env)
  await listening(child)
  const { url, headers } = event('message', '/ws/echo', 'hi')
  assert.equal((await request(0, { socketPath: file, path: url, headers }, 'hi')).body.toString(), 'hi')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
  assert.ok(!existsSync(file))
  writeFileSync(file, 'mine')
  assert.match((await failure(t, env)).lines[0]!, /is taken/)
  assert.ok(existsSync(file))
})

test('SIGTERM and SIGINT end it with 0', { timeout: LIMIT_MS }, async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = start(t, { HANDLER_LISTEN: '127.0.0.1:0' })
    const address = await listening(child)
    const { url, headers } = event('open', '/ws/echo')
    assert.equal((await request(Number(address.split(':')[1]), { path: url, headers })).headers['ws-batch'], '1')
    child.kill(signal)
    assert.deepEqual(await once(child, 'exit'), [0, null])
  }
})

test('headers of 60 KB fit', { timeout: LIMIT_MS }, async (t) => {
  const child = start(t, { HANDLER_LISTEN: '127.0.0.1:0' })
  const port = Number((await listening(child)).split(':')[1])
  const { url, headers } = event('message', '/ws/echo', 'hi', { cookie: 'x'.repeat(60_000) })
  assert.equal((await request(port, { path: url, headers }, 'hi')).status, 200)
})

test('the example routes do what their comments say', async (t) => {
  const app = await build({ logLevel: 'silent', maxMessageBytes: 100 })
  t.after(() => app.close())
  const berlin = await app.inject(event('message', '/ws/time', '{"zone":"Europe/Berlin"}'))
  assert.equal(berlin.json().zone, 'Europe/Berlin')
  assert.match(berlin.json().time, /^\d\d\/\d\d\/\d{4}, \d\d:\d\d:\d\d$/)
  assert.equal(
    (await app.inject(event('message', '/ws/time', '{"zone":""}'))).json().message,
    'body/zone must NOT have fewer than 1 characters',
  )
  assert.deepEqual((await app.inject(event('message', '/ws/time', '{"zone":"Mars"}'))).json(), {
    statusCode: 422,
    error: 'Unprocessable Entity',
    message: 'no time zone is called Mars',
  })
  assert.equal((await app.inject(event('open', '/ws/form'))).headers['ws-text'], 'form')
  const form = event('message', '/ws/form', 'name=Ada&drink=tea', {
    'content-type': 'application/x-www-form-urlencoded',
  })
  assert.deepEqual((await app.inject(form)).json(), {
    status: 'success',
    response: 'received',
    payload: { name: 'Ada', drink: 'tea' },
  })
  assert.equal((await app.inject(event('close', '/ws/form'))).statusCode, 200)
  assert.equal((await app.inject(event('message', '/ws/echo', 'x'.repeat(101)))).statusCode, 413)
})
