// Nobody can take what a gateway writes any more: it loses lines, and its sockets stay.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket, project } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { folder, processesOf, READY, run, startFramegate } from './framegate.ts'

/** For which an event waits while a slow machine starts another handler. */
const HANDLER_WAIT = '1m'

/** Has the gateway write a line: its handler is killed, and comes back. */
async function goesOn(runDirectory: string, port: number): Promise<void> {
  const client = await open(`ws://127.0.0.1:${port}/ws/echo`)
  const [handler] = processesOf(runDirectory, 'handler/server.ts')
  process.kill(handler!, 'SIGKILL')
  await until('another handler', () => processesOf(runDirectory, 'handler/server.ts').some((pid) => pid !== handler))
  assert.equal(await client.ask('still there?'), 'still there?')
  client.socket.terminate()
}

test('the reader of its output ends', async (t) => {
  const framegate = await startFramegate(t, { HANDLER_WAIT })
  await framegate.said(READY)
  framegate.process.stdout!.destroy()
  framegate.process.stderr!.destroy()
  await goesOn(framegate.runDirectory, framegate.port)
  assert.equal(framegate.process.exitCode, null)
  framegate.process.kill('SIGTERM')
  assert.equal(await framegate.ended, 0)
})

test('its log is on a disk that is full', async (t) => {
  const env = { PORT: String(await freePort()), RUN_DIR: folder(t), HANDLER_WAIT }
  const full = openSync('/dev/full', 'w') // each write fails with ENOSPC (full(4))
  const framegate = spawn(process.execPath, ['cli/bin.js', 'start'], {
    cwd: project,
    env: { ...process.env, ...env },
    stdio: ['ignore', full, full],
  })
  closeSync(full)
  t.after(() => framegate.kill('SIGKILL'))
  await until(
    'it answers', // nobody can read its line for that
    () => askSocket('/healthz', `${env.RUN_DIR}/control/control.sock`).catch(() => undefined),
    60_000,
  )
  await goesOn(env.RUN_DIR, Number(env.PORT))
  assert.equal(framegate.exitCode, null)
  const stop = run(t, process.execPath, ['cli/bin.js', 'stop'], env)
  assert.equal(await stop.ended, 0, stop.output())
})

test('SIGUSR1, with which nginx would open its log again, opens no debugger', async (t) => {
  const framegate = await startFramegate(t, { HANDLER_WAIT })
  await framegate.said(READY)
  framegate.process.kill('SIGUSR1')
  await goesOn(framegate.runDirectory, framegate.port)
  assert.doesNotMatch(framegate.output(), /Debugger/)
})
