// Checks and writes what nginx starts from, and asks nginx itself.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { project } from '../environment.ts'
import { Failure } from '../failure.ts'
import type { Account, Command } from './child.ts'

const READY_WITHIN = 10_000
const POLL_EVERY = 20

/** What lua/configure.lua made of the environment, as far as the command needs it. */
export type Settings = {
  /** The public ports for plain HTTP. */
  ports: number[]
  PORTS: number[]
  /** Under whom the handler runs; who starts it when there is none. */
  account?: Account
  /** Lines for who starts it. */
  notes: string[]
  TLS_CERTIFICATE: string
  TLS_PORT: number
  CONTROL_SOCKET: string
  /** `off`, a port, or an address and a port. */
  CONTROL_PORT: string
  SOCKET_PATH: string
  HANDLER_URL: string[]
  HANDLER_TIMEOUT: number
  SITE_URL: string
  MAX_MESSAGE_BYTES: number
}

export type PublicPort = { port: number; variable: string; secure: string }

/** The ports people reach, each with the variable that names it, and an `s` for those that speak TLS. */
export function publicPorts({ ports, PORTS, TLS_CERTIFICATE, TLS_PORT }: Settings): PublicPort[] {
  const plain = ports.map((port) => ({ port, variable: PORTS.length > 0 ? 'PORTS' : 'PORT', secure: '' }))
  return TLS_CERTIFICATE === '' ? plain : [...plain, { port: TLS_PORT, variable: 'TLS_PORT', secure: 's' }]
}

/**
 * Checks the environment, nginx's configuration and every file of Lua, beside what runs in the run directory.
 * @throws {Failure} naming the variable, or the file and its line
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
 * Has the environment checked and the run directory filled, or `target` in its place.
 * @throws {Failure} a line for each value that is refused
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

export function nginxCommand(prefix: string, env: NodeJS.ProcessEnv, file = 'nginx.conf'): Command {
  return { command: 'nginx', args: ['-p', `${prefix}/`, '-c', `nginx/${file}`, '-g', 'daemon off;'], env }
}

function checkNginx(prefix: string, env: NodeJS.ProcessEnv): void {
  const { command, args } = nginxCommand(prefix, env)
  const { error, status, stderr } = spawnSync(command, ['-t', '-q', ...args], { env, encoding: 'utf8' })
  if (error) throw new Failure('nginx is missing: run sh setup/setup.sh')
  if (status === 0) return
  const line = stderr.split('\n').find((line) => /\[(emerg|error|alert)\]/.test(line)) ?? stderr.trim()
  const reason = shortened(line.replace(/^.*?\[\w+\] (\d+#\d+: )?/, ''), prefix)
  if (/dlopen|unknown directive "\w*lua\w*"/.test(reason)) {
    throw new Failure(`nginx has no Lua module, run sh setup/setup.sh (${reason})`)
  }
  throw new Failure(`nginx refuses its configuration: ${reason}`)
}

/** nginx -t reads no Lua, so an nginx of its own does, and ends. */
function checkLua(prefix: string, env: NodeJS.ProcessEnv): void {
  const { command, args } = nginxCommand(prefix, env, 'check.conf')
  const { status, stderr } = spawnSync(command, args, { env, encoding: 'utf8' })
  if (status === 0) return
  const text = shortened(stderr, prefix)
  // Lua shortens a long path from its left.
  const place = /(?:^|[\s/])(lua\/[^\s']+\.lua:\d+: .*)$/m.exec(text)?.[1]
  throw new Failure(`Lua cannot be loaded: ${place ?? text.trim().split('\n')[0]}`)
}

/** Names the project's files as people know them. */
function shortened(text: string, prefix: string): string {
  return text.replaceAll(`${prefix}//`, '').replaceAll(`${prefix}/`, '').replaceAll(`${project}/`, '')
}

/** Resolves when the gateway says that it is well. */
export async function waitForGateway(controlSocket: string, ended: Promise<string>): Promise<void> {
  const deadline = Date.now() + READY_WITHIN
  const end = ended.then((how) => {
    throw new Failure(`nginx ended while it started (${how})`)
  })
  while (!(await Promise.race([isWell(controlSocket), end]))) {
    if (Date.now() > deadline) throw new Failure(`nginx does not answer on ${controlSocket}: its lines above say why`)
    await Promise.race([sleep(POLL_EVERY), end])
  }
  end.catch(() => {})
}

function isWell(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/healthz', timeout: 1_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve(false))
    asked.end()
  })
}
