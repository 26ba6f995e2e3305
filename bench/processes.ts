/** The processes that the bench starts. All of them end with it: at its end, on Ctrl-C and after a failure. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'

/** A problem that keeps the bench from running. Its message is one line. */
export class Failure extends Error {}

export type Program = {
  name: string
  command: string
  args: string[]
  env?: Record<string, string>
}

const running = new Set<ChildProcess>()
const folders = new Set<string>()
const STOP_MS = 3000
/** Follows the message of an error. */
const LUA_TRACE = /^(stack traceback:|\t)/
let stopping = false

/** Starts a program. It may send messages over a channel like that of `fork`. */
export function start({ name, command, args, env }: Program): ChildProcess {
  if (stopping) throw new Failure('stopped')
  const child = spawn(command, args, {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  running.add(child)
  let said = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-2000)
  })
  // 'failure' is the end of a child, for callers that still wait for something from it.
  const fail = (reason: string): void => {
    running.delete(child)
    if (!stopping) child.emit('failure', new Failure(reason))
  }
  child.once('error', (error: NodeJS.ErrnoException) => {
    fail(error.code === 'ENOENT' ? `${command} is not installed: run sh setup/setup.sh --test` : error.message)
  })
  child.once('exit', (code, signal) => {
    fail(
      `${name} ended with ${signal ?? code}: ${said
        .trim()
        .split('\n')
        .filter((line) => !LUA_TRACE.test(line))
        .slice(-3)
        .join(' | ')}`,
    )
  })
  return child
}

export function startNode(
  name: string,
  file: string,
  args: string[] = [],
  env: Record<string, string> = {},
): ChildProcess {
  return start({ name, command: process.execPath, args: ['--expose-gc', file, ...args], env })
}

/** Starts a client (client.lua describes its task). */
export function startLua(name: string, file: string, task: object): ChildProcess {
  return start({ name, command: 'luajit', args: [file, JSON.stringify(task)] })
}

/** Waits for a child's next message on its channel. Rejects with a Failure when the child ends instead. */
export function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('failure', reject)
    child.once('message', (value) => {
      child.off('failure', reject)
      resolve(value as T)
    })
  })
}

/** Waits until `check` resolves to true. Rejects when the child ends first, or after ten seconds. */
export async function ready(child: ChildProcess, what: string, check: () => Promise<boolean>): Promise<void> {
  let failure: Failure | undefined
  child.once('failure', (error: Failure) => {
    failure = error
  })
  const deadline = Date.now() + 10000
  while (!(await check())) {
    if (failure) throw failure
    if (Date.now() > deadline) throw new Failure(`${what} did not answer within 10 s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits until a child has ended by itself. Rejects with a Failure when it failed. */
export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    if (child.exitCode === 0) return resolve()
    child.once('failure', (error) => {
      child.exitCode === 0 ? resolve() : reject(error)
    })
  })
}

export async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(late)
}

/** Makes a folder that is removed at the end. */
export function temporary(folder: string): string {
  folders.add(folder)
  return folder
}

export async function stopAll(): Promise<void> {
  stopping = true
  await Promise.all([...running].map(stop))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}
