// `framegate start`: what it prints, and how it ends.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { copyOfProject, folder, isListening, processesOf, READY, run, startFramegate } from './framegate.ts'

function openSocket(port: number): Promise<Client> {
  return open(`ws://127.0.0.1:${port}/ws/echo`)
}

test('it says where everything listens, and all of that answers', async (t) => {
  const framegate = await startFramegate(t)
  await framegate.said(READY)
  const { port, runDirectory } = framegate
  const control = `${runDirectory}/control/control.sock`

  assert.deepEqual(
    framegate.lines().filter((line) => /^framegate: \w+ {2,}/.test(line)),
    [
      `framegate: gateway    http://localhost:${port}/`,
      `framegate: sockets    ws://localhost:${port}/ws/`,
      `framegate: handler    http://unix:${runDirectory}/handler/handler.sock (handler/, started by framegate)`,
      'framegate: site       the demo site (SITE_URL names another)',
      `framegate: control    ${control}`,
      'framegate: dashboard  off (CONTROL_PORT and CONTROL_TOKEN turn it on)',
    ],
  )

  const page = await fetch(`http://127.0.0.1:${port}/`)
  assert.equal(page.status, 200)
  assert.match(await page.text(), /<html/)

  const socket = await openSocket(port)
  assert.equal(await socket.ask('hello'), 'hello')
  socket.socket.terminate()

  assert.equal((await askSocket('/healthz', control)).status, 200)
})

test('it names every public port, the site and the dashboard', async (t) => {
  const { certificate, key } = certificates(t).make('site')
  const [first, second, tls, control] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const framegate = await startFramegate(t, {
    PORTS: `${first},${second}`,
    TLS_PORT: String(tls),
    TLS_CERTIFICATE: certificate,
    TLS_CERTIFICATE_KEY: key,
    SITE_URL: 'http://127.0.0.1:8000',
    CONTROL_PORT: `127.0.0.1:${control}`,
    CONTROL_TOKEN: 'a-long-random-token',
  })
  await framegate.said(READY)
  assert.match(framegate.output(), /^framegate: site +http:\/\/127\.0\.0\.1:8000$/m)
  assert.match(
    framegate.output(),
    new RegExp(`^framegate: dashboard +http://127\\.0\\.0\\.1:${control}/ \\(CONTROL_TOKEN is the password\\)$`, 'm'),
  )
  assert.match(
    framegate.output(),
    new RegExp(
      `framegate: gateway +http://localhost:${first}/, http://localhost:${second}/, https://localhost:${tls}/$`,
      'm',
    ),
  )
  assert.match(
    framegate.output(),
    new RegExp(
      `framegate: sockets +ws://localhost:${first}/ws/, ws://localhost:${second}/ws/, wss://localhost:${tls}/ws/$`,
      'm',
    ),
  )
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) {
  test(`${signal} ends all of it within STOP_SECONDS, open sockets with 1001`, async (t) => {
    const framegate = await startFramegate(t, { STOP_SECONDS: '2s', WORKERS: '1' }) // each worker spreads its own sockets
    await framegate.said(READY)
    const sockets = await Promise.all([1, 2, 3, 4].map(() => openSocket(framegate.port)))

    const began = performance.now()
    framegate.process.kill(signal)
    const ends = await Promise.all(
      sockets.map(async (socket) => {
        assert.equal((await socket.closed).code, 1001)
        return performance.now() - began
      }),
    )
    assert.equal(await framegate.ended, 0)
    assert.ok(Math.max(...ends) - Math.min(...ends) > 500, 'not all at once')
    assert.equal(await isListening(framegate.port), false)
    assert.deepEqual(processesOf(framegate.runDirectory), [])
    for (const file of ['framegate.pid', 'control/control.sock']) {
      assert.equal(existsSync(join(framegate.runDirectory, file)), false, file)
    }
  })
}

test('Ctrl-C while it starts, and twice, ends all of it as well', async (t) => {
  const framegate = await startFramegate(t)
  await framegate.said('handler: listening')
  framegate.process.kill('SIGINT')
  framegate.process.kill('SIGINT')
  assert.equal(await framegate.ended, 0)
  assert.deepEqual(processesOf(framegate.runDirectory), [])
})

test('what a killed start leaves behind does not hinder the next one', async (t) => {
  const first = await startFramegate(t)
  await first.said(READY)
  first.process.kill('SIGKILL')
  await first.ended
  await until('nginx and handler are gone', () => processesOf(first.runDirectory).length === 0)

  const { port, runDirectory } = first
  const second = await startFramegate(t, { PORT: String(port), RUN_DIR: runDirectory })
  await second.said(READY)
})

test('a killed nginx ends it with one line, and its socket files do not hinder the next start', async (t) => {
  const first = await startFramegate(t)
  await first.said(READY)
  const [nginx] = processesOf(first.runDirectory, 'nginx: master')
  process.kill(nginx!, 'SIGKILL')

  assert.equal(await first.ended, 1)
  assert.match(first.lines().at(-1)!, /^framegate: nginx exited \(signal SIGKILL\): stopping everything$/)
  assert.deepEqual(processesOf(first.runDirectory), [])
  assert.ok(existsSync(join(first.runDirectory, 'control/control.sock')))

  const second = await startFramegate(t, { RUN_DIR: first.runDirectory })
  await second.said(READY)
})

test('a killed handler comes back', async (t) => {
  const framegate = await startFramegate(t, { HANDLER_WAIT: '1m' }) // for which the event waits while a slow machine starts another
  await framegate.said(READY)
  const [handler] = processesOf(framegate.runDirectory, 'handler/server.ts')
  process.kill(handler!, 'SIGKILL')
  await framegate.said('framegate: the handler exited (signal SIGKILL): restarting it in 100 ms')

  const socket = await openSocket(framegate.port)
  assert.equal(await socket.ask('still here?'), 'still here?')
  socket.socket.terminate()
})

test('with WATCH=on an edit of the handler starts it again, and a mistake in it leaves the one before in place', async (t) => {
  const copy = copyOfProject(t)
  const port = await freePort()
  const framegate = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'], {
    PORT: String(port),
    WATCH: 'on',
  })
  await framegate.said(READY)
  const socket = await openSocket(port)
  const route = join(copy, 'handler/routes/echo.ts')
  const original = readFileSync(route, 'utf8')

  writeFileSync(route, '(((')
  await framegate.said('handler/routes/echo.ts was edited: restarting the handler')
  await framegate.said('the handler did not start: handler/routes/echo.ts:')
  await framegate.said('the previous one keeps running')
  assert.equal(await socket.ask('hello'), 'hello')
  writeFileSync(route, original.replace('return request.body', 'return `edited: ${request.body}`'))
  await until('the edit lives', async () => (await socket.ask('hello')) === 'edited: hello', 30_000)
  socket.socket.terminate()
})

test('without WATCH=on an edit of the handler counts from the next reload on', async (t) => {
  const copy = copyOfProject(t)
  const env = { PORT: String(await freePort()), RUN_DIR: folder(t) }
  const framegate = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'], env)
  await framegate.said(READY)
  const socket = await openSocket(Number(env.PORT))
  const route = join(copy, 'handler/routes/echo.ts')
  writeFileSync(route, readFileSync(route, 'utf8').replace('return request.body', 'return `edited: ${request.body}`'))
  const check = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'check'], env)
  assert.equal(await check.ended, 0, check.output()) // long enough for a watcher to notice
  assert.equal(await socket.ask('hello'), 'hello')
  const reload = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'reload'], env)
  assert.equal(await reload.ended, 0, reload.output())
  assert.equal(await socket.ask('hello'), 'edited: hello')
  assert.doesNotMatch(framegate.output(), /was edited/)
  socket.socket.terminate()

  const wrong = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'], {
    ...env,
    RUN_DIR: folder(t),
    WATCH: 'yes',
  })
  assert.equal(await wrong.ended, 1)
  assert.deepEqual(wrong.lines(), ['framegate: WATCH=yes: expected on or off'])
})
