/** framegate and the servers it is compared with, each started as people would use it. */
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
import type { Certificate } from './certificate.ts'
import { Failure, message, ready, start, startNode, stop, temporary } from './processes.ts'

const project = join(import.meta.dirname, '..')

/** Who is compared, by the names and in the order of the tables' columns. */
export const NAMES = {
  framegate: 'framegate',
  plain: 'framegate without TLS',
  unchecked: 'framegate without a schema',
  pinging: 'framegate with pings',
  middle: 'ws + undici',
  capture: 'location.capture',
  bare: 'bare ws echo',
  node: 'Node ws',
  nchan: 'Nchan',
  loop: 'loop of send(2)',
} as const
export type Key = keyof typeof NAMES

export type Gateway = {
  key: Key
  port: number
  pid: number
  child: ChildProcess
  /** The process that answers behind it, if any. */
  handlerPid?: number
}

export type Bench = {
  gateways: Gateway[]
  stop: () => Promise<void>
}

/** Starts the shipped handler and these gateways in front of it. `env` holds variables of framegate. */
export async function startGateways(
  keys: Array<'framegate' | 'middle' | 'capture' | 'bare'>,
  env: Record<string, string> = {},
): Promise<Bench> {
  if (!existsSync(join(project, 'lua/vendor/nginx'))) throw new Failure('lua/vendor is empty: run sh setup/setup.sh')
  const run = temporary(mkdtempSync(join(tmpdir(), 'framegate-bench-')))
  const port = await freePort()
  configure(run, { PORT: String(port), WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off', ...env })
  const socket = join(run, 'handler/handler.sock')
  const handler = startNode('the handler', join(project, 'handler/server.ts'), [], { HANDLER_LISTEN: `unix:${socket}` })
  await ready(handler, 'the handler', () => listens({ path: socket }))
  const starters = {
    framegate: () => startNginx('framegate', run, 'nginx/nginx.conf', port),
    middle: () => startMiddle(socket),
    capture: () => startCapture(run, socket),
    bare: () => startServer('bare', 'echo-server.ts'),
  }
  const gateways: Gateway[] = []
  for (const key of keys) {
    const gateway = await starters[key]()
    gateways.push(key === 'bare' ? gateway : { ...gateway, handlerPid: handler.pid! })
  }
  return {
    gateways,
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

export type TopicGateway = Gateway & {
  /** Its run directory. */
  run: string
  controlSocket: string
  handlerSocket: string
  handler: ChildProcess
  stop: () => Promise<void>
}

/** Starts framegate with topic-handler.ts. `locations` are nginx locations of its own. */
export async function startTopicGateway(env: Record<string, string> = {}, locations = ''): Promise<TopicGateway> {
  const run = temporary(mkdtempSync(join(tmpdir(), 'framegate-bench-')))
  const port = await freePort()
  configure(run, { PORT: String(port), WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off', ...env })
  rmSync(join(run, 'nginx/locations.d'))
  mkdirSync(join(run, 'nginx/locations.d'))
  writeFileSync(join(run, 'nginx/locations.d/bench.conf'), locations)
  const handlerSocket = join(run, 'handler/handler.sock')
  const handler = startNode('the handler', join(import.meta.dirname, 'topic-handler.ts'), [], {
    HANDLER_LISTEN: `unix:${handlerSocket}`,
    HANDLER_SECRET: env.HANDLER_SECRET ?? '',
  })
  await ready(handler, 'the handler', () => listens({ path: handlerSocket }))
  const gateway = await startNginx('framegate', run, 'nginx/nginx.conf', port)
  const end = async (): Promise<void> => {
    await stop(gateway.child)
    await stop(handler)
  }
  const controlSocket = join(run, 'control/control.sock')
  return { ...gateway, run, handlerPid: handler.pid!, controlSocket, handlerSocket, handler, stop: end }
}

/** Starts an nginx in this folder, with this file in it, and waits for its port. */
export async function startNginx(key: Key, folder: string, conf: string, port: number): Promise<Gateway> {
  const name = `nginx of ${NAMES[key]}`
  const child = start({ name, command: 'nginx', args: ['-p', `${folder}/`, '-c', conf, '-g', 'daemon off;'] })
  await ready(child, name, () => listens({ port, host: '127.0.0.1' }))
  return { key, port, pid: child.pid!, child }
}

/** Starts a Node server of this folder, which chooses its port. */
export async function startServer(key: Key, file: string, args: string[] = []): Promise<Gateway> {
  const child = startNode(NAMES[key], join(import.meta.dirname, file), args)
  const { port } = await message<{ port: number }>(child)
  return { key, port, pid: child.pid!, child }
}

/** Starts `ws` + `undici` in front of the handler on this unix socket. */
export function startMiddle(socket: string, tls?: Certificate): Promise<Gateway> {
  return startServer('middle', 'middle-server.ts', [socket, ...(tls ? [tls.certificate, tls.key] : [])])
}

/** The lines of framegate's main file that load modules, and set user and limits, for other nginx beside it. */
export function mainLines(run: string): string {
  return readFileSync(join(run, 'nginx/generated/main.conf'), 'utf8')
    .split('\n')
    .filter((line) => /^(load_module|user|worker_rlimit)/.test(line))
    .join('\n')
}

/** Starts bench/capture/nginx.conf in its own run directory, with the modules and the user of framegate's nginx. */
async function startCapture(run: string, socket: string): Promise<Gateway> {
  const folder = join(run, 'capture')
  const port = await freePort()
  mkdirSync(join(folder, 'temp'), { recursive: true })
  symlinkSync(join(project, 'lua'), join(folder, 'lua'))
  for (const file of ['nginx.conf', 'socket.lua'])
    copyFileSync(join(import.meta.dirname, 'capture', file), join(folder, file))
  writeFileSync(join(folder, 'main.conf'), mainLines(run))
  writeFileSync(join(folder, 'listen.conf'), `listen 127.0.0.1:${port};\n`)
  writeFileSync(join(folder, 'handler.conf'), `server unix:${socket};\n`)
  return startNginx('capture', folder, 'nginx.conf', port)
}

/** Whether anybody accepts connections at this address. */
function listens(address: { path: string } | { port: number; host: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address as { path: string }, () => {
      socket.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })
}
