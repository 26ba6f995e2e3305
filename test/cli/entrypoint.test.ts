// The entry point of the gateway's container, run outside of one.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket, children, project } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { killIfThere } from '../support/processes.ts'
import { until } from '../support/wait.ts'
import { folder } from './framegate.ts'

type Container = { port: number; nginx: number; pid: number; ended: Promise<number | string | null> }

/** Starts it in a folder that looks like the container's. */
async function startEntrypoint(t: TestContext, env: Record<string, string> = {}): Promise<Container> {
  const root = folder(t)
  for (const name of ['nginx', 'lua', 'web']) symlinkSync(join(project, name), join(root, name))
  mkdirSync(join(root, 'run'))
  const port = await freePort()
  const handler = join(root, 'handler.sock')
  await startProbeHandler(t, handler)
  const shell = spawn('sh', [join(root, 'nginx/entrypoint.sh')], {
    stdio: 'ignore',
    env: {
      ...process.env,
      PATH: `${process.env.PATH}:/usr/sbin`,
      PORT: String(port),
      WORKERS: '1',
      HANDLER_URL: `http://unix:${handler}`,
      ...env,
    },
  })
  const ended = new Promise<number | string | null>((resolve) =>
    shell.once('exit', (code, signal) => resolve(signal ?? code)),
  )
  t.after(() => shell.kill('SIGTERM') && ended)
  await until('the gateway answers', async () => {
    assert.equal(shell.exitCode, null)
    return askSocket('/healthz', `${root}/run/control/control.sock`).then(
      ({ status }) => status === 200,
      () => false,
    )
  })
  return { port, nginx: Number(readFileSync(`${root}/run/nginx.pid`, 'utf8')), pid: shell.pid!, ended }
}

for (const [signal, env] of [
  ['SIGTERM', {}],
  ['SIGQUIT', { NGINX: '/usr/sbin/nginx' }],
] as const) {
  test(`${signal} closes sockets with 1001 and ends with 0; SIGHUP before it reloads`, async (t) => {
    const { port, nginx, pid, ended } = await startEntrypoint(t, env)
    const client = await open(`ws://127.0.0.1:${port}/ws/echo`)
    process.kill(pid, 'SIGHUP')
    await until('a new worker runs', () => children(nginx).length === 2)
    assert.equal(await client.ask('still here'), 'still here')
    process.kill(pid, signal)
    assert.equal((await client.closed).code, 1001)
    assert.equal(await ended, 0)
  })
}

test('an nginx that hangs is ended 5 s after STOP_SECONDS, with 0', async (t) => {
  const { nginx, pid, ended } = await startEntrypoint(t, { STOP_SECONDS: '500ms' })
  process.kill(children(nginx)[0]!, 'SIGSTOP')
  const began = performance.now()
  process.kill(pid, 'SIGTERM')
  assert.equal(await ended, 0)
  const took = performance.now() - began
  assert.ok(took > 5400, `${Math.round(took)} ms`)
  assert.ok(took < 30_000, `${Math.round(took)} ms`) // nginx itself kills a worker that hangs after 1.6 s more
})

test('an nginx that dies by itself is the end, with its status', async (t) => {
  const { nginx, ended } = await startEntrypoint(t)
  const [worker] = children(nginx)
  process.kill(nginx, 'SIGKILL')
  t.after(() => killIfThere(worker!)) // it would end with its container
  assert.equal(await ended, 128 + 9)
})

test('a value that is refused is the end, with 1', async (t) => {
  await assert.rejects(startEntrypoint(t, { PORT: 'abc' }))
})
