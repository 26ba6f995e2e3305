// Starts the gateway in the background: `framegate start --detach`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { project } from '../environment.ts'
import { Failure } from '../failure.ts'
import { openLog, prepareRunDirectory } from './run-directory.ts'
import { askSupervisor } from './supervisor-socket.ts'

const POLL_MS = 50
const SHOWN_LINES = 10

export function logFile(run: string): string {
  return `${run}/framegate.log`
}

/**
 * Starts the gateway in a session of its own, which appends its output to the log file.
 * @returns its pid, and where everything listens, when it answers
 * @throws {Failure} with the last lines of the log when it does not start
 */
export async function startInBackground(run: string): Promise<{ pid: number; addresses: string[] }> {
  if (await askSupervisor(run, 'GET', '/'))
    throw new Failure(`framegate is already running in ${run}: stop it, or set RUN_DIR`)
  prepareRunDirectory(run)
  const log = openLog(logFile(run))
  writeSync(log, `framegate: starting at ${new Date().toISOString()}\n`)
  const offset = fstatSync(log).size
  const child = spawn(process.execPath, [`${project}/cli/framegate.ts`, 'start'], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let hasExited = false
  void once(child, 'exit').then(() => {
    hasExited = true
  })
  let addresses: string[] | undefined
  while (!(addresses = await addressesOf(run))) {
    if (hasExited) throw new Failure(`${linesAfter(run, offset)}\nframegate did not start: its log is ${logFile(run)}`)
    await sleep(POLL_MS)
  }
  child.unref()
  return { pid: child.pid!, addresses }
}

/** Undefined until the gateway has started. A start that fails exits, so its refusal is not needed here. */
async function addressesOf(run: string): Promise<string[] | undefined> {
  return (await askSupervisor<string[]>(run, 'GET', '/started').catch(() => undefined))?.value
}

function linesAfter(run: string, offset: number): string {
  const lines = readFileSync(logFile(run)).subarray(offset).toString().trimEnd().split('\n')
  return lines
    .slice(-SHOWN_LINES)
    .map((line) => line.replace(/^framegate: /, ''))
    .join('\n')
}
