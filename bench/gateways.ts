/** The three gateways between a frame and the handler, each started as people would use it. */
import type { ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../test/support/free-port.ts'
import { Failure, message, ready, start, startNode, stop, temporary } from './processes.ts'

const project = join(import.meta.dirname, '..')

/** Names of the gateways, in the order of the table's columns. */
export const NAMES = { framegate: 'framegate', middle: '(a) ws + undici', capture: '(b) location.capture' } as const
export type Key = keyof typeof NAMES

export type Gateway = {
  key: Key
  port: number
  pid: number
  child: ChildProcess
}

export type Bench = {
  gateways: Gateway[]
  handler: ChildProcess
  stop: () => Promise<void>
}

/** Starts the shipped handler and all gateways in front of it. */
export async function startGateways(): Promise<Bench> {
  if (!existsSync(join(project, 'lua/vendor/nginx'))) throw new Failure('lua/vendor is empty: run sh setup/setup.sh')
  const run = temporary(mkdtempSync(join(tmpdir(), 'framegate-bench-')))
  const port = await freePort()
  configure(run, { PORT: String(port), WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off' })
  const socket = join(run, 'handler/handler.sock')
  const handler = startNode('the handler', join(project, 'handler/server.ts'), [], { HANDLER_LISTEN: `unix:${socket}` })
  await ready(handler, 'the handler', () => listens({ path: socket }))
  const gateways = [
    await startNginx('framegate', 'framegate', run, 'nginx/nginx.conf', port),
    await startMiddle(socket),
    await startCapture(run, socket),
  ]
  return {
    gateways,
    handler,
    stop: async () => {
      for (const gateway of gateways) await stop(gateway.child)
      await stop(handler)
    },
  }
}

function configure(run: string, env: Record<string, string>): void {
  try {
    execFileSync('lua5.1', [join(project, 'lua/configure.lua'), project, run], {
      env: { ...process.env, ...env },
      stdio: 'pipe',
    })
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    throw new Failure(code === 'ENOENT' ? 'lua5.1 is not installed: run sh setup/setup.sh' : String(stderr).trim())
  }
}

/** Keeps pings out of the measurement. */
export const NO_PINGS = { PING_INTERVAL: '1h', IDLE_TIMEOUT: '2h' }

export type TopicGateway = Gateway & { controlSocket: string; handler: ChildProcess; stop: () => Promise<void> }

/** Starts framegate with topic-handler.ts. `locations` are nginx locations of its own. */
export async function startTopicGateway(env: Record<string, string> = {}, locations = ''): Promise<TopicGateway> {
  const run = temporary(mkdtempSync(join(tmpdir(), 'framegate-bench-')))
  const port = await freePort()
  configure(run, { PORT: String(port), WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off', ...env })
  rmSync(join(run, 'nginx/locations.d'))
  mkdirSync(join(run, 'nginx/locations.d'))
  writeFileSync(join(run, 'nginx/locations.d/bench.conf'), locations)
  const socket = join(run, 'handler/handler.sock')
  const handler = startNode('the handler', join(import.meta.dirname, 'topic-handler.ts'), [], {
    HANDLER_LISTEN: `unix:${socket}`,
    HANDLER_SECRET: env.HANDLER_SECRET ?? '',
  })
  await ready(handler, 'the handler', () => listens({ path: socket }))
  const gateway = await startNginx('framegate', 'framegate', run, 'nginx/nginx.conf', port)
  const end = async (): Promise<void> => {
    await stop(gateway.child)
    await stop(handler)
  }
  return { ...gateway, controlSocket: join(run, 'control/control.sock'), handler, stop: end }
}

async function startNginx(key: Key, name: string, run: string, conf: string, port: number): Promise<Gateway> {
  const child = start({
    name: `nginx of ${name}`,
    command: 'nginx',
    args: ['-p', `${run}/`, '-c', conf, '-g', 'daemon off;'],
  })
  await ready(child, `nginx of ${name}`, () => listens({ port, host: '127.0.0.1' }))
  return { key, port, pid: child.pid!, child }
}

async function startMiddle(socket: string): Promise<Gateway> {
  const child = startNode('the middle server', join(import.meta.dirname, 'middle-server.ts'), [socket])
  const { port } = await message<{ port: number }>(child)
  return { key: 'middle', port, pid: child.pid!, child }
}

/** Starts bench/capture/nginx.conf in its own run directory, with the modules and the user of framegate's nginx. */
async function startCapture(run: string, socket: string): Promise<Gateway> {
  const folder = join(run, 'capture')
  const port = await freePort()
  const main = readFileSync(join(run, 'nginx/generated/main.conf'), 'utf8')
  mkdirSync(join(folder, 'temp'), { recursive: true })
  symlinkSync(join(project, 'lua'), join(folder, 'lua'))
  for (const file of ['nginx.conf', 'socket.lua'])
    copyFileSync(join(import.meta.dirname, 'capture', file), join(folder, file))
  writeFileSync(
    join(folder, 'main.conf'),
    main
      .split('\n')
      .filter((line) => /^(load_module|user|worker_rlimit)/.test(line))
      .join('\n'),
  )
  writeFileSync(join(folder, 'listen.conf'), `listen 127.0.0.1:${port};\n`)
  writeFileSync(join(folder, 'handler.conf'), `server unix:${socket};\n`)
  return startNginx('capture', 'the classic recipe', folder, 'nginx.conf', port)
}

function listens(address: { path: string } | { port: number; host: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address as { path: string }, () => {
      socket.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })
}
