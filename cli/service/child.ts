// A child process that never outlives this one.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/** A user, and its own group. */
export type Account = { name: string; group: string }

export type Command = {
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  /** The user it runs as, if not this process's own; only root can do that. */
  account?: Account | undefined
}

export type Child = {
  pid: number | undefined
  /** Resolves with how it ended, such as `exit code 1`; never rejects. */
  ended: Promise<string>
  /** Resolves when everything it wrote has been shown, after its end. */
  shown: Promise<unknown>
  /** Resolves when a line of its output starts with `prefix`. */
  printed: (prefix: string) => Promise<void>
  signal: (name: NodeJS.Signals) => void
  /** Sends each signal and waits; kills it after the last step. */
  stop: (steps: StopStep[]) => Promise<void>
}

export type StopStep = { signal: NodeJS.Signals; waitMs: number }

/**
 * Starts a program that ends when this process ends, however that happens: the kernel sends it SIGTERM (prctl(2)).
 * It leads a process group of its own, so that Ctrl-C reaches this process alone, which then ends its children in order.
 * @param show gets each line of its standard output
 * @param showError gets each line of its standard error, which goes to this process's own without it
 */
export function startChild(
  { command, args, env, account }: Command,
  show: (line: string) => void = print,
  showError?: (line: string) => void,
): Child {
  const stdio: StdioOptions = ['ignore', 'pipe', showError ? 'pipe' : 'inherit']
  const identity = account ? ['--reuid', account.name, '--regid', account.group, '--init-groups'] : []
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...identity, command, ...args], { env, stdio, detached: true })
  const ended = endOf(child)
  const lines = createInterface({ input: child.stdout! }).on('line', show)
  const errors = showError && createInterface({ input: child.stderr! }).on('line', showError)

  return {
    pid: child.pid,
    ended,
    shown: Promise.all([lines, errors].map((stream) => stream && once(stream, 'close'))),
    printed: (prefix) =>
      new Promise((resolve) => {
        lines.on('line', (line) => line.startsWith(prefix) && resolve())
      }),
    signal: (name) => void child.kill(name),
    stop: (steps) => stop(child, ended, steps),
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`))
  })
}

async function stop(child: ChildProcess, ended: Promise<string>, steps: StopStep[]): Promise<void> {
  for (const { signal, waitMs } of steps) {
    child.kill(signal)
    if (await endsWithin(waitMs, ended)) return
  }
  killGroup(child)
  await ended
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group has ended in the meantime.
  }
}

async function endsWithin(timeoutMs: number, ended: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController()
  const late = sleep(timeoutMs, false, { signal: timer.signal }).catch(() => false)
  const inTime = await Promise.race([ended.then(() => true), late])
  timer.abort()
  return inTime
}
