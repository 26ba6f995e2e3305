import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { project } from '../environment.ts'
import { Failure } from '../failure.ts'
import { askGateway } from './supervisor-socket.ts'

const POLL_EVERY = 50
const LAST_LINES = 10

export function logFile(run: string): string {
  return `${run}/framegate.log`
}

/**
 * Starts the gateway in a session of its own, with its output at the end of the log file. Resolves with its pid when it answers.
 * @throws {Failure} with the last lines of the log when it does not start
 */
export async function startInBackground(run: string): Promise<number> {
  if (await askGateway(run, 'GET', '/')) throw new Failure(`it already runs in ${run}: stop it, or set RUN_DIR`)
  mkdirSync(run, { recursive: true })
  const log = openSync(logFile(run), 'a')
  writeSync(log, `framegate: start of ${new Date().toISOString()}\n`)
  const begin = statSync(logFile(run)).size
  const child = spawn(process.execPath, [`${project}/cli/framegate.ts`, 'start'], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let isOver = false
  void once(child, 'exit').then(() => {
    isOver = true
  })
  while (!(await answers(run))) {
    if (isOver) throw new Failure(`${linesSince(run, begin)}\nit did not start: ${logFile(run)} has these lines`)
    await sleep(POLL_EVERY)
  }
  child.unref()
  return child.pid!
}

/** Whether it has started; a refusal is told by its end. */
async function answers(run: string): Promise<boolean> {
  return (await askGateway(run, 'GET', '/started').catch(() => undefined)) !== undefined
}

function linesSince(run: string, begin: number): string {
  const lines = readFileSync(logFile(run)).subarray(begin).toString().trimEnd().split('\n')
  return lines
    .slice(-LAST_LINES)
    .map((line) => line.replace(/^framegate: /, ''))
    .join('\n')
}
