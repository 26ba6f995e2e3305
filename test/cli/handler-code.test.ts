// New code of the shipped handler: the next event meets it, and a mistake in it is shown with its place and changes nothing.
import assert from 'node:assert/strict'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { event, request } from '../plugin/support.ts'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/wait.ts'
import { copyOfProject, folder, READY, type Run, run } from './framegate.ts'

/** A handler that is replaced at a port starts twice: once to be checked, and once in the place of the old one. */
const START_MS = 30_000

const SLOW_ECHO = `
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

export default async function echo(app: FastifyInstance) {
  app.ws('/ws/echo', {
    async message() {
      await sleep(100)
      return 'old'
    },
  })
}
`

function edit(copy: string, file: string, from: string, to: string): void {
  const text = readFileSync(join(copy, file), 'utf8')
  assert.ok(text.includes(from), file)
  writeFileSync(join(copy, file), text.replace(from, to))
}

/** `framegate …` of a copy of the project, in a run directory of its own. */
async function commandIn(t: TestContext, copy: string, env: NodeJS.ProcessEnv = {}) {
  const port = await freePort()
  const variables = { PORT: String(port), RUN_DIR: folder(t), WORKERS: '1', MAX_CONNECTIONS_PER_IP: 'off', ...env }
  return {
    port,
    start: (...args: string[]): Run => run(t, process.execPath, [join(copy, 'cli/bin.js'), ...args], variables),
  }
}

test('an edit while 40 sockets keep 40 connections busy: the next event meets the new code', async (t) => {
  const copy = copyOfProject(t)
  writeFileSync(join(copy, 'handler/routes/echo.ts'), SLOW_ECHO)
  edit(copy, 'handler/app.ts', 'register(websocket, {', 'register(websocket, { batch: false,')
  const { port, start } = await commandIn(t, copy, { WATCH: 'on' })
  const gateway = start('start')
  await gateway.said(READY)
  const url = `ws://127.0.0.1:${port}/ws`
  const clients: Client[] = await Promise.all(Array.from({ length: 40 }, () => open(`${url}/echo`)))
  const round = (): Promise<unknown[]> => Promise.all(clients.map((client) => client.ask('?')))
  assert.deepEqual(new Set(await round()), new Set(['old']))

  const [one] = clients as [Client]
  edit(copy, 'handler/routes/time.ts', "'/ws/time'", "'/ws/later'")
  edit(copy, 'handler/routes/echo.ts', "'old'", "'new'")
  await until('the new handler listens', () => gateway.output().split('handler: listening').length > 2, START_MS)
  const answers: unknown[] = []
  while (answers.at(-1) !== 'new') answers.push(await one.ask('?'))
  // Each takes 100 ms, and on a slow machine the old handler learns late that it is replaced. A connection that
  // stayed with it would last for 5 s.
  assert.ok(answers.length <= 20, `${answers.length - 1} events met the old code`)
  for (let i = 0; i < 3; i++) assert.deepEqual(new Set(await round()), new Set(['new']))
  for (let i = 0; i < 40; i++) (await open(`${url}/later`)).socket.terminate()
  for (const { socket } of clients) socket.terminate()
})

test('a mistake in a route: check, reload and start name its place, and the old code goes on', async (t) => {
  const copy = copyOfProject(t)
  const { port, start } = await commandIn(t, copy)
  const gateway = start('start')
  await gateway.said(READY)
  const socket = await open(`ws://127.0.0.1:${port}/ws/echo`)
  const command = async (...args: string[]): Promise<string> => {
    const ran = start(...args)
    assert.equal(await ran.ended, 1)
    return ran.output()
  }
  const original = readFileSync(join(copy, 'handler/routes/echo.ts'), 'utf8')
  const line = original.split('\n').length
  const place = `handler/routes/echo.ts:${line + 1}: `
  for (const [text, message] of [
    ['\nconst a = (((\n', 'Expression expected'],
    ['\nthrow new Error("not today")\n', 'not today'],
  ]) {
    writeFileSync(join(copy, 'handler/routes/echo.ts'), original + text)
    for (const output of [await command('check'), await command('reload')]) {
      assert.ok(output.includes(`the handler did not start: ${place}${message}`), output)
    }
    assert.equal(await socket.ask('hello'), 'hello')
  }
  writeFileSync(join(copy, 'handler/routes/echo.ts'), "import { nothing } from './time.ts'\nnothing()\n")
  assert.equal(
    await command('reload'),
    "framegate: the handler did not start: handler/routes/echo.ts:1: The requested module './time.ts' does not provide an export named 'nothing'\n",
  )
  assert.equal(await socket.ask('hello'), 'hello')
  socket.socket.terminate()

  const other = await commandIn(t, copy)
  const detached = other.start('start', '--detach')
  assert.equal(await detached.ended, 1)
  assert.match(detached.output(), /^framegate: the handler did not start: handler\/routes\/echo\.ts:1: The requested /)
})

test('over TCP, as in its container, a mistake leaves the old handler in place', async (t) => {
  const copy = copyOfProject(t)
  const port = await freePort()
  const handler = run(t, process.execPath, [join(copy, 'cli/service/handler-main.ts')], {
    HANDLER_LISTEN: `127.0.0.1:${port}`,
  })
  await handler.said('handler: listening')
  const { url, headers } = event('message', '/ws/echo', 'hi')
  const ask = async (): Promise<string> => (await request(port, { path: url, headers }, 'hi')).body.toString()
  assert.equal(await ask(), 'hi')
  const original = readFileSync(join(copy, 'handler/routes/echo.ts'), 'utf8')

  let editedMs = 0
  const makeMistake = (): void => {
    editedMs = Date.now()
    writeFileSync(join(copy, 'echo.new'), `${original}(((\n`)
    renameSync(join(copy, 'echo.new'), join(copy, 'handler/routes/echo.ts'))
  }
  await until(
    'the mistake is seen',
    () => {
      const isSeen = handler.output().includes('was edited')
      if (!isSeen && Date.now() - editedMs > 3_000) makeMistake() // the first may come before the folder is watched
      return handler.output().includes('the previous one keeps running')
    },
    START_MS,
  )
  assert.match(
    handler.output(),
    /the handler did not start: handler\/routes\/echo\.ts:\d+: Expression expected: the prev/,
  )
  assert.equal(await ask(), 'hi')
  writeFileSync(
    join(copy, 'handler/routes/echo.ts'),
    original.replace('return request.body', 'return `new ${request.body}`'),
  )
  await until('the next edit counts', async () => (await ask().catch(() => '')) === 'new hi', START_MS)
  handler.process.kill('SIGTERM')
  assert.equal(await handler.ended, 0)
})
