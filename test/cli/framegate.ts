// Runs the command of a project's copy, and reads what it prints.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'
import { until } from '../support/wait.ts'

/** The line after which the gateway answers. */
export const READY = 'Press Ctrl-C to stop'

export type Run = {
  process: ChildProcess
  /** Everything it wrote so far. */
  output: () => string
  lines: () => string[]
  /** Resolves when the text was written; rejects with the output when the process ends before. */
  said: (text: string) => Promise<void>
  /** Resolves with its exit code, null after a signal. */
  ended: Promise<number | null>
}

/** Runs a program and keeps what it says; it is killed when the test ends. */
export function run(t: TestContext, command: string, args: string[], env: NodeJS.ProcessEnv = {}): Run {
  const child = spawn(command, args, {
    cwd: project,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const ended = once(child, 'close').then(([code]) => code as number | null)
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part) => {
      text += part
    })
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })

  return {
    process: child,
    ended,
    output: () => text,
    lines: () => text.split('\n').filter(Boolean),
    said: (what) =>
      new Promise((resolve, reject) => {
        const streams = [child.stdout, child.stderr]
        const look = () => {
          if (!text.includes(what)) return
          for (const stream of streams) stream.off('data', look)
          resolve()
        }
        for (const stream of streams) stream.on('data', look)
        void ended.then(() => reject(new Error(`it ended without saying "${what}":\n${text}`)))
        look()
      }),
  }
}

/** `framegate start` on a free port, in a run directory of its own. */
export async function startFramegate(
  t: TestContext,
  env: NodeJS.ProcessEnv = {},
): Promise<Run & { port: number; runDirectory: string }> {
  const runDirectory = env.RUN_DIR ?? folder(t)
  const port = Number(env.PORT) || (await freePort())
  const started = run(t, process.execPath, ['cli/framegate.ts', 'start'], {
    PORT: String(port),
    RUN_DIR: runDirectory,
    ...env,
  })
  return { ...started, port, runDirectory }
}

export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'framegate-'))
  // Hooks run in the order of their registration: what was started in the folder may still write to it.
  t.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 10 }))
  return path
}

/** The parts of the project that a start needs, to be changed at will. */
export function copyOfProject(t: TestContext): string {
  const copy = folder(t)
  for (const part of ['cli', 'handler', 'plugin', 'lua', 'nginx', 'web', 'package.json']) {
    cpSync(join(project, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket
      .once('connect', () => resolve(true))
      .once('error', () => resolve(false))
      .once('connect', () => socket.destroy())
  })
}

/** Waits until a program listens, which takes long where the machine is slow. Fails with its output when it ends before. */
export async function listening(program: Run, port: number): Promise<void> {
  await until(
    'it listens',
    () => {
      assert.equal(program.process.exitCode, null, program.output())
      return isListening(port)
    },
    60_000,
  )
}

/** The processes that were started for a run directory: its name is in their command line or environment. */
export function processesOf(runDirectory: string, title = ''): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      if (pid === process.pid) return false
      const command = readProcess(pid, 'cmdline').replaceAll('\0', ' ')
      return command.includes(title) && `${command}${readProcess(pid, 'environ')}`.includes(runDirectory)
    })
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
