/** A real Redis of a test's own: on a unix socket and on a free port of 127.0.0.1, with nothing on disk. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePort } from './free-port.ts'
import { until } from './wait.ts'

export type RedisOptions = {
  /** Lines of redis.conf besides the test's own, such as `requirepass secret`. */
  lines?: string[]
  /** A port that was used before. */
  port?: number
  /** Serves TLS on `tlsPort`. Files in PEM form. */
  tls?: { certificate: string; key: string }
  /** Runs as a Sentinel that watches this master, under the name `mymaster`. */
  watches?: { port: number }
}

export type Redis = {
  port: number
  tlsPort: number
  path: string
  pid: () => number
  /** Sends a command on a connection of its own; the reply in text, as redis-cli prints it. */
  ask: (...command: string[]) => Promise<string>
  /** Ends it with SIGTERM, or with another signal, and waits. */
  stop: (signal?: NodeJS.Signals) => Promise<void>
  /** Starts it again in the same place, empty. */
  start: () => Promise<void>
  /** SIGSTOP: connections stay open, and nothing is answered. */
  freeze: () => void
  /** SIGCONT. */
  thaw: () => void
}

function ended(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', () => resolve()))
}

function write(folder: string, redis: { port: number; tlsPort: number; path: string }, options: RedisOptions): string {
  const { tls, watches } = options
  const lines = [
    `port ${redis.port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    ...(watches
      ? [
          `sentinel monitor mymaster 127.0.0.1 ${watches.port} 1`,
          'sentinel down-after-milliseconds mymaster 2000',
          'sentinel failover-timeout mymaster 2000',
        ]
      : [`unixsocket ${redis.path}`, 'unixsocketperm 700', 'save ""', 'repl-diskless-sync-delay 0']),
    ...(tls
      ? [
          `tls-port ${redis.tlsPort}`,
          `tls-cert-file ${tls.certificate}`,
          `tls-key-file ${tls.key}`,
          'tls-auth-clients no',
          `tls-ca-cert-file ${tls.certificate}`,
        ]
      : []),
    ...(options.lines ?? []),
  ]
  const file = join(folder, 'redis.conf')
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

async function run(command: string[], isReady: RegExp): Promise<ChildProcess> {
  const child = spawn('redis-server', command, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      log += chunk
      if (isReady.test(log)) resolve()
    }
    child.stdout!.on('data', take)
    child.stderr!.on('data', take)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${log}`)))
  })
  return child
}

/** Inline commands have no quotes here: names and numbers only. */
function ask(port: number, login: string[], command: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('error', reject).on('close', () => resolve(text))
    socket.on('data', (chunk) => {
      text += chunk
    })
    const lines = [...(login.length > 0 ? [`AUTH ${login.join(' ')}`] : []), command.join(' ')]
    socket.end(lines.map((line) => `${line}\r\n`).join(''))
  })
}

/** Starts a Redis, which `t.after` kills. Its password for `ask` is that of a line `requirepass`. */
export async function startRedis(t: TestContext, options: RedisOptions = {}): Promise<Redis> {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-redis-'))
  const place = {
    port: options.port ?? (await freePort()),
    tlsPort: options.tls ? await freePort() : 0,
    path: join(folder, 'redis.sock'),
  }
  const login = (options.lines ?? []).flatMap((line) => /^requirepass (\S+)$/.exec(line)?.[1] ?? [])
  const file = write(folder, place, options)
  const command = options.watches ? [file, '--sentinel'] : [file]
  const isReady = options.watches ? /monitor master/ : /eady to accept connections unix|onnections at/
  let child = await run(command, isReady)
  t.after(async () => {
    child.kill('SIGKILL')
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    ...place,
    pid: () => child.pid!,
    ask: (...words) => ask(place.port, login, words),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal)
      await ended(child)
    },
    start: async () => {
      child = await run(command, isReady)
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  }
}

/** Starts a replica of a Redis; resolves when it is linked with it. */
export async function startReplica(t: TestContext, master: Redis, lines: string[] = []): Promise<Redis> {
  const replica = await startRedis(t, { lines: [`replicaof 127.0.0.1 ${master.port}`, ...lines] })
  await until('the replica is linked', async () => (await replica.ask('INFO', 'replication')).includes('status:up'))
  return replica
}
