// Deploys and reloads under load drop nobody, what cannot be reloaded is refused, and a stop tells everybody.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { children, nginxOf } from '../support/gateway.ts'
import { Crowd } from './crowd.ts'
import { copyOfProject, isListening, processesOf, READY, type Run, run } from './framegate.ts'

type Started = {
  copy: string
  port: number
  gateway: Run
  command: (...args: string[]) => Promise<{ status: number | null; output: string }>
}

async function start(t: TestContext, prepare: (copy: string) => void = () => {}): Promise<Started> {
  const copy = copyOfProject(t)
  prepare(copy)
  const port = await freePort()
  writeFileSync(join(copy, '.env'), `PORT=${port}\nWORKERS=2\nMAX_CONNECTIONS_PER_IP=off\nWATCH=on\n`)
  const gateway = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'])
  await gateway.said(READY)
  const command = async (...args: string[]) => {
    const ran = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), ...args])
    return { status: await ran.ended, output: ran.output() }
  }
  return { copy, port, gateway, command }
}

test('2,000 sockets that talk: three deploys, three reloads and a stop lose no frame and no socket', async (t) => {
  let crowd!: Crowd
  const { copy, port, gateway, command } = await start(t, (project) => {
    crowd = new Crowd(project)
  })
  await crowd.join(port, 2_000)
  crowd.push(join(copy, 'run/control/control.sock'))
  const reload = async (): Promise<void> => {
    const { status, output } = await command('reload')
    assert.match(output, /^reloaded: 2 new workers and a new handler; open sockets stay connected\n$/)
    assert.equal(status, 0)
    await crowd.sees()
  }

  crowd.deploy()
  await gateway.said('handler/routes/crowd.ts was edited: restarting the handler')
  await crowd.sees()

  crowd.deploy()
  await reload()

  appendFileSync(join(copy, '.env'), 'MAX_MESSAGE_BYTES=1000\n')
  await reload()
  const small = await open(`ws://127.0.0.1:${port}/ws/echo`)
  small.socket.send('x'.repeat(1001))
  assert.equal((await small.closed).code, 1009)

  crowd.deploy()
  writeFileSync(join(copy, 'nginx/locations.d/mine.conf'), 'location = /mine { return 200 "new"; }\n')
  await reload()
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/mine`)).text(), 'new')

  await crowd.goesOn()
  await crowd.quiet()
  const seen = crowd.seen().filter((line) => !line.includes('closed'))
  assert.equal(seen.length, crowd.sent)
  assert.equal(new Set(seen).size, crowd.sent, 'no event was processed twice')
  t.diagnostic(`${crowd.sent} frames, ${crowd.pushes} pushes to 2,000`)

  assert.deepEqual(await command('stop', '--timeout', '20'), { status: 0, output: 'stopped: 2000 sockets closed\n' })
  assert.equal(await isListening(port), false)
  assert.deepEqual(processesOf(join(copy, 'run')), [])
  assert.equal(await gateway.ended, 0)
  const codes = await Promise.all(crowd.clients.map(async ({ closed }) => (await closed).code))
  assert.deepEqual([...new Set(codes)], [1001])
  const closes = crowd.seen().filter((line) => line.endsWith(' closed 1001'))
  assert.equal(new Set(closes).size, 2_000)
  assert.equal(closes.length, 2_000)
  assert.deepEqual(crowd.faults, [])
})

test('what is wrong is refused with its place, and sockets and pushes go on', async (t) => {
  let crowd!: Crowd
  const { copy, port, gateway, command } = await start(t, (project) => {
    crowd = new Crowd(project)
  })
  await crowd.join(port, 50)
  crowd.push(join(copy, 'run/control/control.sock'))
  const cases: Array<[string, string, RegExp]> = [
    ['.env', 'PORT=abc\n', /^framegate: PORT=abc: expected a whole number from 1 to 65535\n$/],
    ['.env', 'no setting\n', /^framegate: \S+\/\.env:5: expected NAME=value, one on each line\n$/],
    [
      'nginx/locations.d/mine.conf',
      'location /a {\n  retrun 200;\n}\n',
      /^framegate: nginx refuses its configuration: unknown directive "retrun" in nginx\/locations\.d\/mine\.conf:2\n$/,
    ],
    [
      'nginx/proxy.conf',
      '\nproxy_read_timeout soon;\n',
      /^framegate: nginx refuses its configuration: "proxy_read_timeout" directive invalid value in nginx\/proxy\.conf:\d+\n$/,
    ],
    [
      'lua/framegate/socket/drain.lua',
      '\nlocal = 1\n',
      /^framegate: Lua cannot be loaded: lua\/framegate\/socket\/drain\.lua:\d+: .+\n$/,
    ],
    [
      'lua/framegate/socket/rate.lua',
      '\nerror("not today")\n',
      /^framegate: Lua cannot be loaded: lua\/framegate\/socket\/rate\.lua:\d+: .+\n$/,
    ],
    [
      'handler/routes/echo.ts',
      '\n(((\n',
      /^framegate: the handler did not start: handler\/routes\/echo\.ts:\d+: Expression expected\n$/,
    ],
  ]
  const [master] = processesOf(join(copy, 'run'), 'nginx: master')
  const workers = children(master!)
  for (const [file, text, refusal] of cases) {
    const path = join(copy, file)
    const before = file.endsWith('mine.conf') ? '' : readFileSync(path, 'utf8')
    writeFileSync(path, before + text)
    const { status, output } = await command('reload')
    assert.match(output, refusal)
    assert.equal(status, 1)
    writeFileSync(path, before)
  }
  assert.deepEqual(children(master!), workers)
  await crowd.goesOn()

  // Straight to nginx: it keeps what it has as well.
  appendFileSync(join(copy, 'lua/framegate/socket/drain.lua'), '\nlocal = 1\n')
  process.kill(master!, 'SIGHUP')
  await gateway.said('drain.lua:')
  await crowd.goesOn()
  await crowd.quiet()
  assert.deepEqual(children(master!), workers)
  assert.match((await command('stop')).output, /^stopped: 50 sockets closed\n$/)
  assert.deepEqual(crowd.faults, [])
})

test('every file of Lua is loaded before it counts', (t) => {
  const copy = copyOfProject(t)
  execFileSync('lua5.1', [join(copy, 'lua/configure.lua'), copy, join(copy, 'run')])
  const { command, args, env } = nginxOf(join(copy, 'run'), 'check.conf')
  const load = () => spawnSync(command, args, { encoding: 'utf8', timeout: 10_000, env })
  assert.equal(load().status, 0)
  const unread = globSync('lua/framegate/**/*.lua', { cwd: copy }).filter((file) => {
    const text = readFileSync(join(copy, file), 'utf8')
    writeFileSync(join(copy, file), `${text}\nlocal = 1\n`)
    const { status } = load()
    writeFileSync(join(copy, file), text)
    return status === 0
  })
  assert.deepEqual(
    unread.sort(),
    globSync('lua/framegate/configure/*.lua', { cwd: copy }).sort(),
    'configure.lua reads only these',
  )
})
