/**
 * A real gateway for a test: nginx from the project's own configuration, in a run directory of its own. Its log is
 * read along; a line at error level that the test did not announce fails the test.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { Command } from '../../cli/service/child.ts'
import { nginxCommand } from '../../cli/service/nginx.ts'
import { isShuttingDown } from '../../cli/service/nginx-workers.ts'
import { freePort } from './free-port.ts'
import { killIfThere } from './processes.ts'
import { isHeld } from './standstill.ts'
import { until } from './wait.ts'

export const project = join(import.meta.dirname, '..', '..')

export type GatewayOptions = {
  /** Variables of the gateway; a function is given the run directory. */
  env?: Record<string, string> | ((run: string) => Record<string, string>)
  /** nginx locations of the test's own, in place of nginx/locations.d/. */
  locations?: string
  /** The lowest level of nginx's error log, in place of warn. */
  logLevel?: string
  /** Lines at error level that are expected. */
  expect?: RegExp[]
  /** Waits until all workers are linked, which takes some milliseconds. By default it does. */
  linked?: boolean
  /** Starts the shipped handler beside it. Without, HANDLER_URL is the test's own affair. */
  handler?: boolean
}

export type Gateway = {
  url: string
  ws: string
  port: number
  run: string
  pid: number
  /** Where the gateway looks for the shipped handler. */
  handlerSocket: string
  log: () => string
  /** What it wrote to its standard output. */
  output: () => string
  /** Reads nothing more of that. */
  deafen: () => void
  /** Resolves when new workers run, and the old ones take no more sockets. */
  reload: () => Promise<void>
  stop: () => Promise<void>
  /** Tells nginx to end gracefully, as `npm start` and Docker do, and waits until it has: its exit code. */
  quit: () => Promise<number | null>
  /** Kills the master and all workers, as an operating system without memory does. */
  kill: () => Promise<void>
  /** Starts nginx again in the same run directory, after `quit` or `kill`. */
  startAgain: () => Promise<void>
  workers: () => number[]
}

/** The processes whose parent is this one. */
export function children(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

function exited(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', () => resolve()))
}

/** Asks something of a server on a unix socket; the status and body of its answer. Rejects when that breaks off. */
export async function askSocket(path: string, socketPath: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, agent: false }, (response) =>
      resolve(text(response).then((body) => ({ status: response.statusCode!, body }))),
    )
      .on('error', reject)
      .end()
  })
}

export function configure(run: string, env: Record<string, string>): void {
  execFileSync('lua5.1', [join(project, 'lua/configure.lua'), project, run], {
    env: { ...process.env, ...env },
    stdio: 'pipe',
  })
}

/** The command line of nginx in a run directory: that of NGINX, in `env` or in the environment of the tests. */
export function nginxOf(
  run: string,
  file: string,
  { NGINX = process.env.NGINX } = {} as Record<string, string>,
): Command {
  return nginxCommand(run, { ...process.env, NGINX, PATH: `${process.env.PATH}:/usr/sbin` }, file)
}

function startHandler(run: string, env: Record<string, string>): { child: ChildProcess; ready: Promise<void> } {
  const child = spawn(process.execPath, [join(project, 'handler/server.ts')], {
    env: {
      ...process.env,
      CONTROL_SOCKET: `${run}/control/control.sock`,
      ...env,
      HANDLER_LISTEN: `unix:${run}/handler/handler.sock`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      if (chunk.includes('listening')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the handler ended with ${code}`)))
  })
  return { child, ready }
}

/**
 * What nginx logs of a worker that a test kills. One that held a lock of shared memory at that moment is worth a line
 * of its own: the master lets go of the lock.
 */
export const KILLED = /worker process \d+ exited on signal 9|shared memory zone "\w+" was locked by \d+/

function checkLog(log: string, expected: RegExp[]): void {
  const bad = log
    .split('\n')
    .filter((line) => /\[(error|crit|alert|emerg)\]/.test(line))
    .filter((line) => !expected.some((pattern) => pattern.test(line)))
  if (bad.length > 0) throw new Error(`nginx logged what was not expected:\n${bad.slice(0, 10).join('\n')}`)
}

/** Whether all workers live and know one another. */
async function areLinked(run: string, workers: string): Promise<boolean> {
  const answer = await askSocket('/status', `${run}/control/control.sock`)
  if (answer.status !== 200) return false
  const status = JSON.parse(answer.body)
  return status.workers.length === Number(workers) && status.missing_links === 0
}

/** Starts a gateway; `t.after` stops it and checks its log. */
export async function startGateway(t: TestContext, options: GatewayOptions = {}): Promise<Gateway> {
  const run = mkdtempSync(join(tmpdir(), 'framegate-'))
  const port = await freePort()
  const own = typeof options.env === 'function' ? options.env(run) : options.env
  const env = { PORT: String(port), WORKERS: '2', ...own }
  configure(run, env)
  if (options.locations) {
    rmSync(`${run}/nginx/locations.d`)
    mkdirSync(`${run}/nginx/locations.d`)
    writeFileSync(`${run}/nginx/locations.d/test.conf`, options.locations)
  }
  if (options.logLevel) {
    const configuration = readFileSync(`${run}/nginx/nginx.conf`, 'utf8')
    rmSync(`${run}/nginx/nginx.conf`)
    writeFileSync(
      `${run}/nginx/nginx.conf`,
      configuration.replace('error_log stderr warn;', `error_log stderr ${options.logLevel};`),
    )
  }
  const handler = options.handler === false ? undefined : startHandler(run, env)
  await handler?.ready
  const expected = options.expect ?? []
  let log = ''
  let output = ''
  let isStopping = false // workers that end at once, in any order, break what they hold of one another
  const launch = () => {
    const nginx = nginxOf(run, 'nginx.conf', own)
    const launched = spawn(nginx.command, nginx.args, { stdio: ['ignore', 'pipe', 'pipe'], env: nginx.env })
    launched.stdout.on('data', (chunk) => {
      output += chunk
    })
    launched.stderr.on('data', (chunk) => {
      if (!isStopping) log += chunk
    })
    return launched
  }
  let nginx = launch()
  const stop = async (): Promise<void> => {
    isStopping = true
    nginx.kill('SIGTERM')
    await exited(nginx)
    handler?.child.kill('SIGTERM')
    if (handler) await exited(handler.child)
  }
  t.after(async () => {
    await stop()
    rmSync(run, { recursive: true, force: true })
    checkLog(log, expected)
  })
  const answers = (): Promise<boolean> =>
    until(
      () => `the gateway answers\n${log}`,
      async () => {
        if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}: ${log}`)
        return (
          (await askSocket('/healthz', `${run}/control/control.sock`).then(
            (answer) => answer.status === 200,
            () => false,
          )) &&
          (options.linked === false || areLinked(run, env.WORKERS))
        )
      },
      30_000,
    )
  await answers()
  return {
    url: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    port,
    run,
    get pid() {
      return nginx.pid!
    },
    handlerSocket: `${run}/handler/handler.sock`,
    log: () => log,
    output: () => output,
    deafen: () => nginx.stdout.pause(),
    workers: () => children(nginx.pid!),
    stop,
    quit: async () => {
      nginx.kill('SIGQUIT')
      await exited(nginx)
      return nginx.exitCode
    },
    kill: async () => {
      nginx.kill('SIGSTOP') // or it would start other workers
      const workers = children(nginx.pid!)
      nginx.kill('SIGKILL')
      for (const worker of workers) killIfThere(worker)
      await exited(nginx)
      await until('the workers are gone', () => !workers.some((worker) => existsSync(`/proc/${worker}`)))
    },
    startAgain: async () => {
      for (const socket of ['control/control.sock', 'internal/site.sock']) rmSync(`${run}/${socket}`, { force: true })
      nginx = launch()
      await answers()
    },
    reload: async () => {
      const before = children(nginx.pid!)
      nginx.kill('SIGHUP')
      await until('new workers run', () => children(nginx.pid!).some((pid) => !before.includes(pid)))
      await until('the others leave', () => before.every((pid) => isShuttingDown(pid) || isHeld(pid)))
    },
  }
}
