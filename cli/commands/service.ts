// Commands that start, change and stop the gateway of a run directory.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Gateway } from '../../plugin/gateway/gateway.ts'
import { needProject, readEnvironment, runDirectory } from '../environment.ts'
import { Failure } from '../failure.ts'
import { logFile, startInBackground } from '../service/background.ts'
import { foreground } from '../service/foreground.ts'
import { start } from '../service/start.ts'
import { askGateway } from '../service/supervisor-socket.ts'
import { type Command, numberOf, print } from './command.ts'
import { counted } from './table.ts'

const FILE = "Variables come from the environment and, below it, from the file .env in framegate's folder (ENV_FILE)."
const STOP_SECONDS = 10
/** What the gateway's process may take beyond its deadlines, of nginx and then of the handler. */
const HARDER_SECONDS = 15
const POLL_EVERY = 50

const startCommand: Command = {
  usage: '',
  summary: `Starts the gateway, and the shipped handler while HANDLER_URL is not set. Ctrl-C stops both.\n${FILE}`,
  options: {
    detach: {
      type: 'boolean',
      short: 'd',
      help: 'in the background: returns when it answers; its log is framegate.log in the run directory',
    },
  },
  async run({ options }) {
    needProject()
    if (!options.detach) return foreground((stop) => start({ environment: process.env, stop }))
    const run = runDirectory(readEnvironment(process.env))
    const pid = await startInBackground(run)
    print(`framegate: it runs in the background (pid ${pid}), and writes to ${logFile(run)}`)
  },
}

const dev: Command = {
  usage: '',
  summary:
    'Starts the gateway to work on it: edits are checked and taken while sockets stay open.\nErrors of types are shown. Ctrl-C ends all of it.',
  options: {},
  async run() {
    needProject()
    const { watchProject } = await import('../service/dev.ts')
    return foreground((stop) => start({ environment: process.env, stop, beside: watchProject }))
  },
}

const stop: Command = {
  usage: '',
  summary:
    'Stops the gateway: sockets are closed with 1001, their close events reach the handler, then all of it ends.',
  options: {
    timeout: {
      type: 'string',
      value: 'SECONDS',
      help: `how long that may take before it is ended without (${STOP_SECONDS})`,
    },
  },
  async run({ options }) {
    const seconds = numberOf('timeout', options.timeout) ?? STOP_SECONDS
    const run = runDirectory(readEnvironment(process.env))
    const pid = await pidOf(run)
    const sockets = await openSockets(run)
    const asked = await askGateway(
      run,
      'POST',
      `/stop?seconds=${seconds}`,
      (2 * seconds + HARDER_SECONDS) * 1000,
    ).catch(() => undefined)
    if (!asked && (await stillRuns(run))) process.kill(pid, 'SIGKILL') // the kernel ends nginx and the handler with it
    while (await stillRuns(run)) await sleep(POLL_EVERY)
    print(sockets === undefined ? 'stopped' : `stopped: ${counted(sockets, 'socket')} closed`)
  },
}

const restart: Command = {
  usage: '',
  summary: `Stops the gateway and starts it again, where it ran and with the variables it was started with.\n${FILE}\nWhat cannot start is refused, and everything runs on.`,
  options: {},
  async run() {
    await askRunning('/restart')
    print('restarted')
  },
}

const reload: Command = {
  usage: '',
  summary: `Takes variables, nginx's configuration, Lua and the handler's code as they are now; no socket is closed.\n${FILE}\nWhat is wrong is refused, with its place, and everything runs on as before.`,
  options: {},
  async run() {
    print(`reloaded: ${await askRunning('/reload')}`)
  },
}

/** How many sockets are open, for a gateway that can say it. */
async function openSockets(run: string): Promise<number | undefined> {
  try {
    const { CONTROL_SOCKET } = JSON.parse(readFileSync(`${run}/settings.json`, 'utf8'))
    return (await new Gateway({ url: `unix:${CONTROL_SOCKET}` }).status()).connections
  } catch {
    return undefined
  }
}

/** Whether it is there, though it may say nothing. */
function stillRuns(run: string): Promise<boolean> {
  return askGateway(run, 'GET', '/', 1_000).then(
    (answer) => answer !== undefined,
    () => true,
  )
}

async function askRunning(path: string): Promise<unknown> {
  const run = runDirectory(readEnvironment(process.env))
  const answer = await askGateway(run, 'POST', path)
  if (!answer) throw notRunning(run)
  return answer.value
}

async function pidOf(run: string): Promise<number> {
  const answer = await askGateway(run, 'GET', '/')
  if (!answer) throw notRunning(run)
  return answer.value.pid
}

function notRunning(run: string): Failure {
  return new Failure(`it does not run in ${run}: start it, or set RUN_DIR`)
}

export const serviceCommands: Record<string, Command> = { start: startCommand, stop, restart, reload, dev }
