// The commands that start, look after and stop a gateway, as people type them.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/wait.ts'
import { folder, isListening, processesOf, READY, run, startFramegate } from './framegate.ts'

type Ran = { status: number | null; output: string }

function commandIn(t: TestContext, env: NodeJS.ProcessEnv): (...args: string[]) => Promise<Ran> {
  return async (...args) => {
    const ran = run(t, process.execPath, ['cli/bin.js', ...args], env)
    return { status: await ran.ended, output: ran.output() }
  }
}

test('in the background: started, asked, restarted, stopped', async (t) => {
  const directory = folder(t)
  const settings = join(directory, 'settings.env')
  const port = await freePort()
  writeFileSync(settings, `# where\nexport PORT=${port}\nWORKERS="1"\n`)
  const command = commandIn(t, { RUN_DIR: directory, ENV_FILE: settings })
  const notRunning = {
    status: 1,
    output: `framegate: framegate is not running in ${directory}: start it, or set RUN_DIR\n`,
  }
  for (const name of ['stop', 'restart', 'reload']) assert.deepEqual(await command(name), notRunning)

  const { status, output } = await command('start', '--detach')
  t.after(() => command('stop', '--timeout', '1'))
  const lines = output.trimEnd().split('\n')
  assert.equal(lines[0], `framegate: gateway    http://localhost:${port}/`)
  assert.equal(lines.length, 7)
  assert.match(
    lines.at(-1)!,
    new RegExp(`^framegate: started in the background \\(pid \\d+\\); its log is ${directory}/framegate.log$`),
  )
  assert.equal(status, 0)
  assert.deepEqual(await command('start', '-d'), {
    status: 1,
    output: `framegate: framegate is already running in ${directory}: stop it, or set RUN_DIR\n`,
  })

  const socket = await open(`ws://127.0.0.1:${port}/ws/echo`)
  assert.equal(await socket.ask('hello'), 'hello')
  const looked = await command('status')
  assert.match(
    looked.output,
    /^gateway {2}[\w-]{4}, version [\d.]+, up \d+ s, configuration 1 for \d+ s\nsockets {2}1 socket\n/,
  )
  assert.match(
    looked.output,
    /^handler {2}answers; 2 events, 0 failures; p50 [\d.]+ m?s, p95 [\d.]+ m?s, p99 [\d.]+ m?s since the start$/m,
  )
  assert.match(
    looked.output,
    /^WORKER +PID +SOCKETS +MEMORY +LUA +LANES +WAITING +CONFIGURATION\n[\w-]{6} +\d+ +1 +[\d.]+ MiB +[\d.]+ MiB +\d+ +0 +1$/m,
  )
  assert.equal(JSON.parse((await command('status', '--json')).output).connections, 1)

  const restarted = await command('restart')
  assert.deepEqual(restarted, { status: 0, output: 'restarted\n' })
  assert.equal((await socket.closed).code, 1001)
  const next = await open(`ws://127.0.0.1:${port}/ws/echo`)
  assert.deepEqual(await command('stop'), { status: 0, output: 'stopped: 1 socket closed\n' })
  assert.equal((await next.closed).code, 1001)
  assert.equal(await isListening(port), false)
  // The command returns when nobody answers it any more, some moments before that process has ended.
  await until('all processes have ended', () => processesOf(directory).length === 0)
  assert.deepEqual(await command('stop'), notRunning)

  writeFileSync(settings, 'PORT=abc\n')
  assert.deepEqual(await command('start', '-d'), {
    status: 1,
    output: `framegate: PORT=abc: expected a whole number from 1 to 65535\nframegate: framegate did not start: its log is ${directory}/framegate.log\n`,
  })
})

test('check says what is wrong and what to do', async (t) => {
  const site = createServer((_, response) => response.end())
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  t.after(() => site.close())
  const { port: sitePort } = site.address() as { port: number }
  const [port, nobody] = [await freePort(), await freePort()]
  const env = {
    RUN_DIR: folder(t),
    PORT: String(port),
    SITE_URL: `http://127.0.0.1:${sitePort}`,
    HANDLER_URL: `http://127.0.0.1:${nobody}`,
  }
  const command = commandIn(t, env)
  const away = `WRONG  handler        http://127.0.0.1:${nobody} cannot be reached (ECONNREFUSED): start it, or set HANDLER_URL\n`
  assert.deepEqual(await command('check'), {
    status: 1,
    output:
      'ok     configuration  variables, nginx and Lua\n' +
      `ok     port ${port}`.padEnd(22) +
      `is free; the gateway is not running: framegate start\n${away}` +
      `ok     site           http://127.0.0.1:${sitePort} answers\nframegate: 1 of 4 checks failed\n`,
  })
  const gateway = await startFramegate(t, env)
  await gateway.said(READY)
  assert.deepEqual(await command('check'), {
    status: 1,
    output:
      'ok     configuration  variables, nginx and Lua\n' +
      `ok     control        http://unix:${env.RUN_DIR}/control/control.sock answers\n${away}` +
      `ok     site           http://127.0.0.1:${sitePort} answers\nframegate: 1 of 4 checks failed\n`,
  })
  const found = await commandIn(t, { ...env, RUN_DIR: folder(t), WORKERS: 'x' })('check', '--json')
  assert.equal(found.status, 1)
  assert.match(found.output, /^\[\{"what":"configuration","isWell":false,"text":"WORKERS=x: expected .*"\}\]\n/)
})

test('connections: filters and orders', async (t) => {
  const gateway = await startFramegate(t)
  await gateway.said(READY)
  const command = commandIn(t, { RUN_DIR: gateway.runDirectory })
  const [quiet, loud, chat] = await Promise.all(
    ['echo', 'echo', 'chat/hall'].map((path) => open(`ws://127.0.0.1:${gateway.port}/ws/${path}`)),
  )
  assert.equal(await loud!.ask('one'), 'one')
  const list = async (...args: string[]): Promise<any[]> =>
    JSON.parse((await command('connections', '--json', ...args)).output).connections
  assert.deepEqual((await list('--sort', 'bytes-in')).map(({ bytes, path }) => [bytes.in, path])[0], [3, '/ws/echo'])
  assert.deepEqual(
    (await list('--path', '/ws/chat')).map(({ path }) => path),
    ['/ws/chat/hall'],
  )
  assert.equal((await list('--topic', 'chat:hall')).length, 1)
  assert.equal((await list('--address', '127.0.0.1', '--sort', 'path', '--limit', '2')).length, 2)
  assert.equal((await list('--user', 'nobody')).length, 0)
  assert.match(
    (await command('connections', '--address', '127.0.0.1', '--limit', '1')).output,
    /\n\n1 of 3 connections\n$/,
  )
  const refused = await command('connections', '--sort', 'colour')
  assert.equal(refused.status, 2)
  assert.match(
    refused.output,
    /^framegate: option '--sort <field>' argument 'colour' is invalid. Allowed choices are id, user, /,
  )
  for (const client of [quiet, loud, chat]) client!.socket.terminate()
})
