// Writes and checks nginx's configuration, and makes nginx's command line.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { exchange } from '../../plugin/gateway/exchange.ts'
import { project } from '../environment.ts'
import { Failure } from '../failure.ts'
import type { Account, Command } from './child.ts'

const READY_TIMEOUT_MS = 10_000
const POLL_MS = 20
const PROBE_TIMEOUT_MS = 1_000

/** The settings that lua/configure.lua reads from the environment, as far as the command needs them. */
export type Settings = {
  /** The public ports for plain HTTP. */
  ports: number[]
  PORTS: number[]
  /** The user the handler runs as; without one, the user who starts it. */
  account?: Account
  /** Lines to print at the start. */
  notes: string[]
  TLS_CERTIFICATE: string
  TLS_PORT: number
  CONTROL_SOCKET: string
  /** `off`, a port, or an address and a port. */
  CONTROL_PORT: string
  SOCKET_PATH: string
  /** Over how many seconds a stop closes sockets. */
  STOP_SECONDS: number
  HANDLER_URL: string[]
  /** The handlers that locations name, each a list of URLs. Lua writes an empty list as an empty object. */
  location_handlers: string[] | Record<string, never>
  HANDLER_TIMEOUT: number
  SITE_URL: string
  MAX_MESSAGE_BYTES: number
  /** The path of its program; empty for the one on the PATH. */
  NGINX: string
}

export type PublicPort = { port: number; variable: string; secure: string }

/** The public ports, each with the variable that sets it, and an `s` for those with TLS. */
export function publicPorts({ ports, PORTS, TLS_CERTIFICATE, TLS_PORT }: Settings): PublicPort[] {
  const plain = ports.map((port) => ({ port, variable: PORTS.length > 0 ? 'PORTS' : 'PORT', secure: '' }))
  return TLS_CERTIFICATE === '' ? plain : [...plain, { port: TLS_PORT, variable: 'TLS_PORT', secure: 's' }]
}

export type Listener = { port: number; variable: string; hosts: string[] }

const ALL_HOSTS = ['0.0.0.0', '::']

/** Every TCP port that nginx listens on for these settings, each with the addresses of this machine. */
export function listeners(settings: Settings): Listener[] {
  const open = publicPorts(settings).map(({ port, variable }) => ({ port, variable, hosts: ALL_HOSTS }))
  const [, host, port] = /^(?:\[?([^\]]+)\]?:)?(\d+)$/.exec(settings.CONTROL_PORT) ?? []
  return port ? [...open, { port: Number(port), variable: 'CONTROL_PORT', hosts: host ? [host] : ALL_HOSTS }] : open
}

/** Whether everything but sockets is the demo site. */
export function isDemoSite({ SITE_URL }: Settings): boolean {
  return SITE_URL.startsWith('http://unix:') && SITE_URL.endsWith('/internal/site.sock')
}

/**
 * Checks the environment, nginx's configuration and every file of Lua, without touching what runs in the run directory.
 * @throws {Failure} which names the variable, or the file and its line
 */
export function check(run: string, env: NodeJS.ProcessEnv): Settings {
  const trial = `${run}/next`
  try {
    const settings = configure(run, env, trial)
    checkNginx(trial, env)
    checkLua(trial, env)
    return settings
  } finally {
    rmSync(trial, { recursive: true, force: true })
  }
}

/**
 * Checks the environment and fills the run directory, or `target` in its place.
 * @throws {Failure} with a line for each value that is refused
 */
export function configure(run: string, env: NodeJS.ProcessEnv, target = run): Settings {
  const { error, status, stderr } = spawnSync('lua5.1', [`${project}/lua/configure.lua`, project, run, target], {
    env,
    encoding: 'utf8',
  })
  if (error) throw new Failure('lua5.1 is missing: run sh setup/setup.sh')
  if (status !== 0) throw new Failure(stderr.trim().replace(/^framegate: /gm, ''))
  return JSON.parse(readFileSync(`${target}/settings.json`, 'utf8'))
}

/**
 * nginx's command line. NGINX in `env` is its program; nginx itself would take that variable for the numbers of sockets that it
 * inherits. Without -e, an OpenResty opens a log file in the run directory.
 */
export function nginxCommand(prefix: string, env: NodeJS.ProcessEnv, file = 'nginx.conf'): Command {
  const { NGINX, ...rest } = env
  const args = ['-e', 'stderr', '-p', `${prefix}/`, '-c', `nginx/${file}`, '-g', 'daemon off;']
  return { command: NGINX || 'nginx', args, env: rest }
}

function checkNginx(prefix: string, env: NodeJS.ProcessEnv): void {
  const { command, args, env: own } = nginxCommand(prefix, env)
  const { error, status, stderr } = spawnSync(command, ['-t', '-q', ...args], { env: own, encoding: 'utf8' })
  if (error) throw new Failure('nginx is missing: run sh setup/setup.sh')
  if (status === 0) return
  const line = stderr.split('\n').find((line) => /\[(emerg|error|alert)\]/.test(line)) ?? stderr.trim()
  const reason = shortened(line.replace(/^.*?\[\w+\] (\d+#\d+: )?/, ''), prefix)
  if (/dlopen|unknown directive "\w*lua\w*"/.test(reason)) {
    throw new Failure(`nginx has no Lua module, run sh setup/setup.sh (${reason})`)
  }
  throw new Failure(`nginx refuses its configuration: ${reason}`)
}

/** nginx -t does not load Lua, so another nginx does, and exits. */
function checkLua(prefix: string, env: NodeJS.ProcessEnv): void {
  const { command, args, env: own } = nginxCommand(prefix, env, 'check.conf')
  const { status, stderr } = spawnSync(command, args, { env: own, encoding: 'utf8' })
  if (status === 0) return
  const text = shortened(stderr, prefix)
  // Lua shortens a long path from its left.
  const place = /(?:^|[\s/])(lua\/[^\s']+\.lua:\d+: .*)$/m.exec(text)?.[1]
  throw new Failure(`Lua cannot be loaded: ${place ?? text.trim().split('\n')[0]}`)
}

/** Names the project's files relative to its folder. */
function shortened(text: string, prefix: string): string {
  return text.replaceAll(`${prefix}//`, '').replaceAll(`${prefix}/`, '').replaceAll(`${project}/`, '')
}

/**
 * Resolves when the gateway reports that it is healthy.
 * @param ended resolves with how nginx ended, if it does
 * @throws {Failure} when nginx ends, or is not ready in time
 */
export async function waitForGateway(controlSocket: string, ended: Promise<string>): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS
  const end = ended.then((how) => {
    throw new Failure(`nginx exited during its start (${how})`)
  })
  while (!(await Promise.race([isHealthy(controlSocket), end]))) {
    if (Date.now() > deadlineMs) throw new Failure(`nginx does not answer on ${controlSocket}: see its lines above`)
    await Promise.race([sleep(POLL_MS), end])
  }
  end.catch(() => {})
}

async function isHealthy(controlSocket: string): Promise<boolean> {
  const probe = { path: '/healthz', timeoutMs: PROBE_TIMEOUT_MS, statusOnly: true }
  const answer = await exchange(`unix:${controlSocket}`, probe).catch(() => undefined)
  return answer?.status === 200
}
