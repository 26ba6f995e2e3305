// `npm run dev`: edits are taken while sockets stay open, and mistakes are shown with their place.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { copyOfProject, processesOf, READY, run } from './framegate.ts'

/** The handler, or nginx, starts again while tsc takes all that a small machine has. */
const RESTART_MS = 30_000

test('routes, Lua, locations and types', async (t) => {
  const copy = copyOfProject(t)
  const tsconfig = JSON.parse(readFileSync(join(project, 'tsconfig.json'), 'utf8'))
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify({ ...tsconfig, include: ['handler', 'plugin'] }))
  const edit = (file: string, from: string, to: string): void => {
    const text = readFileSync(join(copy, file), 'utf8')
    assert.ok(text.includes(from), file)
    writeFileSync(join(copy, file), text.replace(from, to))
  }
  const port = await freePort()
  const dev = run(t, process.execPath, [join(copy, 'cli/bin.js'), 'dev'], {
    PORT: String(port),
    WORKERS: '1',
    MAX_CONNECTIONS_PER_IP: 'off',
  })
  await dev.said(READY)
  await dev.said('framegate: types: no errors')
  const url = `ws://127.0.0.1:${port}/ws/echo`
  const old = await open(url)
  assert.equal(await old.ask('hello'), 'hello')

  edit('handler/routes/echo.ts', 'return request.body', 'return `new: ${request.body}`')
  await until('the route is taken', async () => (await old.ask('hello')) === 'new: hello', RESTART_MS)
  edit('plugin/websocket/route.ts', '/** Fastify builds code', '/** Here Fastify builds code')
  await dev.said('framegate: plugin/websocket/route.ts was edited: restarting the handler')

  edit('lua/framegate/protocol/handshake.lua', 'local Handshake = {}', 'local Handshake = }')
  await dev.said(
    'framegate: lua/framegate/protocol/handshake.lua was edited but not loaded: Lua cannot be loaded: lua/framegate/protocol/handshake.lua:',
  )
  assert.equal(await (await open(url)).ask('still'), 'new: still')

  edit('lua/framegate/protocol/handshake.lua', 'local Handshake = }', 'local Handshake = {}')
  edit('lua/framegate/public/refusal.lua', 'local Refusal = {}', 'local Refusal = {} Log.warn(nil, "refusal is new")')
  await dev.said('refusal is new')
  await dev.said('1 new worker; open sockets stay connected')

  writeFileSync(join(copy, 'nginx/locations.d/mine.conf'), 'location = /mine {\n  return 200 "first"\n}\n')
  await dev.said(
    'framegate: nginx/locations.d/mine.conf was edited but not loaded: nginx refuses its configuration: unexpected "}" in nginx/locations.d/mine.conf:3',
  )
  writeFileSync(join(copy, 'nginx/locations.d/mine.conf'), 'location = /mine {\n  return 200 "second";\n}\n')
  const mine = async (): Promise<boolean> => (await fetchOnce(`http://127.0.0.1:${port}/mine`)).status === 200
  await until('the location is taken', mine, RESTART_MS)

  writeFileSync(join(copy, '.env'), 'MAX_MESSAGE_BYTES=small\n')
  await dev.said('framegate: .env was edited but not loaded: MAX_MESSAGE_BYTES=small: expected')
  writeFileSync(join(copy, '.env'), 'MAX_MESSAGE_BYTES=1000\n')
  await dev.said('framegate: .env was edited: 1 new worker and a new handler')
  const small = await open(url)
  small.socket.send('x'.repeat(1001))
  assert.equal((await small.closed).code, 1009)
  assert.equal(await old.ask('hello'), 'new: hello')
  dev.process.kill('SIGSTOP') // both edits wait for it, so that no pause of the machine comes between them
  writeFileSync(join(copy, '.env'), '')
  edit('lua/framegate/public/refusal.lua', 'refusal is new', 'refusal is newer')
  dev.process.kill('SIGCONT')
  await dev.said('framegate: .env and 1 more file were edited: 1 new worker and a new handler')

  edit(
    'handler/routes/echo.ts',
    'return `new:',
    'const number: number = "text"\n      void number\n      return `newer:',
  )
  await dev.said('framegate: types: handler/routes/echo.ts:')
  assert.match(dev.output(), /^framegate: types: handler\/routes\/echo\.ts:\d+:\d+: error TS2322: /m)
  edit('handler/routes/time.ts', '{ zone, time: ', '{ zone, clock: ')
  await dev.said("Property 'time' is missing in type '{ zone: string; clock: string; }'")
  assert.match(dev.output(), /^framegate: types: handler\/routes\/time\.ts:\d+:\d+: error TS2322: /m)
  await until('it runs for all that', async () => (await old.ask('hello')) === 'newer: hello', RESTART_MS)
  assert.equal(await (await open(url)).ask('hello'), 'newer: hello')

  dev.process.kill('SIGINT')
  assert.equal(await dev.ended, 0)
  assert.equal((await old.closed).code, 1001)
  assert.deepEqual(processesOf(copy), [])
})

test('an edit right after the start is checked too', async (t) => {
  const copy = copyOfProject(t)
  const tsconfig = JSON.parse(readFileSync(join(project, 'tsconfig.json'), 'utf8'))
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify({ ...tsconfig, include: ['handler', 'plugin'] }))
  const dev = run(t, process.execPath, [join(copy, 'cli/bin.js'), 'dev'], { PORT: String(await freePort()) })
  await dev.said(READY)
  const route = join(copy, 'handler/routes/echo.ts')
  writeFileSync(route, `${readFileSync(route, 'utf8')}\nexport const number: number = 'text'\n`)
  await dev.said('framegate: types: handler/routes/echo.ts:')
  await dev.said('handler/routes/echo.ts was edited: restarting the handler')
  const own = dev.output().split('handler/routes/echo.ts was edited')[1]!
  assert.doesNotMatch(own, /types: no errors/)
})
