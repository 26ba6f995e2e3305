import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from './failure.ts'
import type { Account, Command } from './process.ts'

const READY_WITHIN = 10_000
const POLL_EVERY = 20

/** What lua/configure.lua made of the environment, as far as the start needs it. */
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
  SOCKET_PATH: string
  HANDLER_URL: string[]
  MAX_MESSAGE_BYTES: number
}

/** Has the environment checked and the run directory filled; configure.lua says itself what it refuses. */
export function configure (project: string, run: string, env: NodeJS.ProcessEnv): Settings {
  const { error, status } = spawnSync('lua5.1', [`${project}/lua/configure.lua`, project, run], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (error) throw new Failure('lua5.1 is missing: run sh cli/setup.sh')
  if (status !== 0) throw new Failure()
  return JSON.parse(readFileSync(`${run}/settings.json`, 'utf8'))
}

export function nginxCommand (run: string, env: NodeJS.ProcessEnv): Command {
  return { command: 'nginx', args: ['-p', `${run}/`, '-c', 'nginx/nginx.conf', '-g', 'daemon off;'], env }
}

/** Lets nginx read its configuration before anything is started. */
export function checkNginx ({ command, args, env }: Command): void {
  const { error, status, stderr } = spawnSync(command, ['-t', '-q', ...args], { env, encoding: 'utf8' })
  if (error) throw new Failure('nginx is missing: run sh cli/setup.sh')
  if (status === 0) return
  const line = stderr.split('\n').find((line) => /\[(emerg|error|alert)\]/.test(line)) ?? stderr.trim()
  const reason = line.replace(/^.*?\[\w+\] (\d+#\d+: )?/, '')
  if (/dlopen|unknown directive "\w*lua\w*"/.test(reason)) {
    throw new Failure(`nginx has no Lua module, run sh cli/setup.sh (${reason})`)
  }
  throw new Failure(`nginx refuses its configuration: ${reason}`)
}

/** Resolves when the gateway says that it is well. */
export async function waitForGateway (controlSocket: string, ended: Promise<string>): Promise<void> {
  const deadline = Date.now() + READY_WITHIN
  const end = ended.then((how) => { throw new Failure(`nginx ended while it started (${how})`) })
  while (!(await Promise.race([isWell(controlSocket), end]))) {
    if (Date.now() > deadline) throw new Failure(`nginx does not answer on ${controlSocket}: its lines above say why`)
    await Promise.race([sleep(POLL_EVERY), end])
  }
  end.catch(() => {})
}

function isWell (socketPath: string): Promise<boolean> {
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
