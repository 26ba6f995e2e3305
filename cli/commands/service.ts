// The commands that start, reload and stop the gateway of a run directory.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { Gateway } from '../../plugin/gateway/gateway.ts'
import { needProject, readEnvironment, runDirectory } from '../environment.ts'
import { Failure } from '../failure.ts'
import { logFile, startInBackground } from '../service/background.ts'
import { foreground, info } from '../service/foreground.ts'
import { askSupervisor } from '../service/supervisor-socket.ts'
import { wholeNumber } from './arguments.ts'
import { print } from './output.ts'
import { counted } from './table.ts'

const VARIABLES = "Variables come from the environment, then from the file .env in framegate's folder (or ENV_FILE)."
/** The longest time that the supervisor takes by itself, for nginx and then for the handler. */
const LONGEST_SECONDS = 3605
/** What the supervisor needs beyond the deadlines of nginx and of the handler. */
const MARGIN_SECONDS = 15
const POLL_MS = 50

export const start = new Command('start')
  .summary('Starts the gateway and the shipped handler.')
  .description(`Starts the gateway, and the shipped handler unless HANDLER_URL is set. Ctrl-C stops both. ${VARIABLES}`)
  .option(
    '-d, --detach',
    'start in the background, return when it answers, and log to framegate.log in the run directory',
  )
  .action(async ({ detach }: { detach?: boolean }) => {
    needProject()
    if (!detach) {
      const service = await import('../service/start.ts')
      return foreground((stop) => service.start({ environment: process.env, stop, watches: false }))
    }
    const run = runDirectory(readEnvironment(process.env))
    const { pid, addresses } = await startInBackground(run)
    addresses.forEach(info)
    info(`started in the background (pid ${pid}); its log is ${logFile(run)}`)
  })

export const dev = new Command('dev')
  .summary('Starts in development mode: reloads on every edit.')
  .description(
    'Development mode: reloads on every edit without closing sockets, and shows type errors. Ctrl-C stops it.',
  )
  .action(async () => {
    needProject()
    const [service, { watchProject }] = await Promise.all([import('../service/start.ts'), import('../service/dev.ts')])
    return foreground((stop) => service.start({ environment: process.env, stop, watches: true, beside: watchProject }))
  })

export const stop = new Command('stop')
  .summary('Stops the gateway.')
  .description(
    'Stops the gateway: closes sockets with 1001, delivers their close events to the handler, then ends nginx and handler.',
  )
  .option(
    '--timeout <seconds>',
    'seconds to wait before killing it (default: 10, or STOP_SECONDS and 5 more)',
    wholeNumber,
  )
  .action(async ({ timeout }: { timeout?: number }) => {
    const run = runDirectory(readEnvironment(process.env))
    const pid = await pidOf(run)
    const sockets = await openSockets(run)
    const path = timeout === undefined ? '/stop' : `/stop?seconds=${timeout}`
    const deadlineMs = (2 * (timeout ?? LONGEST_SECONDS) + MARGIN_SECONDS) * 1000
    const answer = await askSupervisor(run, 'POST', path, deadlineMs).catch(() => undefined)
    if (!answer && (await isRunning(run))) process.kill(pid, 'SIGKILL') // the kernel ends nginx and the handler with it
    while (await isRunning(run)) await sleep(POLL_MS)
    print(sockets === undefined ? 'stopped' : `stopped: ${counted(sockets, 'socket')} closed`)
  })

export const restart = new Command('restart')
  .summary('Stops the gateway and starts it again.')
  .description(
    `Stops the gateway and starts it again in the same place, with the variables of its start. ${VARIABLES} ` +
      'When the configuration is wrong, the command fails and the gateway keeps running.',
  )
  .action(async () => {
    await askRunning('/restart')
    print('restarted')
  })

export const reload = new Command('reload')
  .summary('Loads changed variables, configuration, Lua and handler; no socket is closed.')
  .description(
    "Loads variables, nginx's configuration, Lua and the handler's code as they are now; no socket is closed. " +
      `${VARIABLES} When something is wrong, the command fails with its place and nothing changes.`,
  )
  .action(async () => print(`reloaded: ${await askRunning('/reload')}`))

/** How many sockets are open; undefined when the gateway does not answer. */
async function openSockets(run: string): Promise<number | undefined> {
  try {
    const { CONTROL_SOCKET } = JSON.parse(readFileSync(`${run}/settings.json`, 'utf8'))
    return (await new Gateway({ url: `unix:${CONTROL_SOCKET}` }).status()).connections
  } catch {
    return undefined
  }
}

/** Whether the supervisor is there, even if it does not answer. */
function isRunning(run: string): Promise<boolean> {
  return askSupervisor(run, 'GET', '/', 1_000).then(
    (answer) => answer !== undefined,
    () => true,
  )
}

async function askRunning(path: string): Promise<unknown> {
  const run = runDirectory(readEnvironment(process.env))
  const answer = await askSupervisor(run, 'POST', path)
  if (!answer) throw notRunning(run)
  return answer.value
}

async function pidOf(run: string): Promise<number> {
  const answer = await askSupervisor<{ pid: number }>(run, 'GET', '/')
  if (!answer) throw notRunning(run)
  return answer.value.pid
}

function notRunning(run: string): Failure {
  return new Failure(`framegate is not running in ${run}: start it, or set RUN_DIR`)
}
