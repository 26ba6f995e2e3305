/** One link to Redis in a worker of a real nginx, without the rest of a gateway. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { children, configure, nginxOf, project } from './gateway.ts'
import { until } from './wait.ts'

export type LinkState = {
  is_up: boolean
  is_away: boolean
  reason?: string
  reconnects: number
  subscriptions: number
  sent_messages: number
  received_messages: number
  sent_bytes: number
  received_bytes: number
  waiting_bytes: number
  run_id?: string
  client_id?: number
  /** How often `on_up` was called. */
  ups: number
  /** What `on_down` was called with. */
  downs: string[]
  /** The first 100 pushes: channel and payload. */
  pushes: [string, string][]
  push_count: number
}

export type Answer = {
  is_queued: boolean
  reply?: any
  err?: 'lost' | { code: string; message: string }
  calls?: number
}

export type RedisLink = {
  log: () => string
  state: () => Promise<LinkState>
  /** Waits until the link is in such a state. */
  until: (what: string, fits: (state: LinkState) => boolean, ms?: number) => Promise<LinkState>
  command: (...command: (string | number)[]) => Promise<Answer>
  eval: (script: string, keys: string[], args: (string | number)[]) => Promise<Answer>
  subscribe: (...channels: string[]) => Promise<Answer>
  unsubscribe: (...channels: string[]) => Promise<Answer>
  ask: (path: string, ...list: unknown[]) => Promise<any>
  /** Waits until the log has such a line. */
  logged: (pattern: RegExp, ms?: number) => Promise<string>
  worker: number
  /** Ends nginx gracefully; resolves when it has ended. */
  quit: () => Promise<void>
}

function ask(socketPath: string, path: string, list: unknown[]): Promise<any> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, method: 'POST', agent: false }, (response) => {
      let body = ''
      response
        .on('data', (chunk) => {
          body += chunk
        })
        .on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(body)) : reject(new Error(body))))
        .on('error', reject)
    })
      .on('error', reject)
      .end(JSON.stringify(list))
  })
}

function ended(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', () => resolve()))
}

function prepare(env: Record<string, string>): string {
  const run = mkdtempSync(join(tmpdir(), 'framegate-'))
  configure(run, { WORKERS: '1', ...env })
  const text = readFileSync(join(project, 'test/support/redis-link.conf'), 'utf8')
  writeFileSync(`${run}/nginx/redis-link.conf`, text.replaceAll('RUN', run).replaceAll('PROJECT', project))
  return run
}

/** Starts a link with these variables, such as REDIS_URL. `t.after` ends it; lines at error level fail the test. */
export async function startLink(t: TestContext, env: Record<string, string>): Promise<RedisLink> {
  const run = prepare(env)
  const socket = `${run}/internal/link.sock`
  const { command, args, env: own } = nginxOf(run, 'redis-link.conf')
  const nginx = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: own })
  let log = ''
  nginx.stderr.on('data', (chunk) => {
    log += chunk
  })
  t.after(async () => {
    nginx.kill('SIGTERM')
    await ended(nginx)
    rmSync(run, { recursive: true, force: true })
    const bad = log.split('\n').filter((line) => /\[(error|crit|alert|emerg)\]/.test(line))
    if (bad.length > 0) throw new Error(`nginx logged what was not expected:\n${bad.slice(0, 10).join('\n')}`)
  })
  const state = async (): Promise<LinkState> => {
    const now = await ask(socket, '/state', [])
    return { ...now, downs: Object.values(now.downs), pushes: Object.values(now.pushes) } // cjson writes an empty list as {}
  }
  await until(
    () => `nginx answers: ${log}`,
    () => state().then(Boolean, () => false),
  )
  return {
    log: () => log,
    state,
    until: (what, fits, ms) => until(what, () => state().then((now) => fits(now) && now), ms),
    command: (...command) => ask(socket, '/command', command),
    eval: (...list) => ask(socket, '/eval', list),
    subscribe: (...channels) => ask(socket, '/subscribe', channels),
    unsubscribe: (...channels) => ask(socket, '/unsubscribe', channels),
    ask: (path, ...list) => ask(socket, path, list),
    logged: (pattern, ms) =>
      until(
        () => `a line ${pattern} in\n${log}`,
        () => pattern.exec(log)?.[0],
        ms,
      ),
    worker: children(nginx.pid!)[0]!,
    quit: async () => {
      nginx.kill('SIGQUIT')
      await ended(nginx)
    },
  }
}
