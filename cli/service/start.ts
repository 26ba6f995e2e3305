// Runs the gateway in the foreground, for `framegate start` and `framegate dev`.
import { readEnvironment, runDirectory } from '../environment.ts'
import { info, type Stop } from './foreground.ts'
import { lockRunDirectory } from './run-directory.ts'
import { Supervisor } from './supervisor.ts'
import { type Routes, serveSupervisor } from './supervisor-socket.ts'

/** What runs beside the gateway. */
type Companion = { ready: Promise<void>; close: () => Promise<void> }

export type StartOptions = {
  environment: NodeJS.ProcessEnv
  stop: Stop
  /** Whether edits of the handler's code count where WATCH is not set. */
  watches: boolean
  /** Starts what runs beside the gateway until it stops. */
  beside?: (supervisor: Supervisor) => Companion
}

/**
 * Runs gateway and handler until a signal or a command stops them.
 * @throws {Failure} when they cannot run
 */
export async function start({ environment, stop, watches, beside }: StartOptions): Promise<void> {
  const directory = await lockRunDirectory(runDirectory(readEnvironment(environment)))
  const supervisor = new Supervisor({ run: directory.path, environment, watches, info })
  const stopRequested = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const started = supervisor.start()
  started.catch(() => {}) // it is handled below
  const socket = await serveSupervisor(
    directory.path,
    routesOf({ supervisor, started, stopRequested, released: released.promise }),
  )
  let companion: Companion | undefined
  try {
    const run = started.then(async () => {
      companion = beside?.(supervisor)
      await companion?.ready
      info('Press Ctrl-C to stop')
      return supervisor.failed
    })
    await Promise.race([run, stop.requested, stopRequested.promise])
  } finally {
    await Promise.race([Promise.all([supervisor.stop(), companion?.close()]), stop.requestedAgain])
    await supervisor.kill()
    const closed = socket.close()
    directory.release()
    released.resolve()
    await closed
  }
}

type Parts = {
  supervisor: Supervisor
  started: Promise<string[]>
  stopRequested: PromiseWithResolvers<void>
  /** Another gateway may start in the run directory: the command that stops this one may be followed by a start. */
  released: Promise<void>
}

function routesOf({ supervisor, started, stopRequested, released }: Parts): Routes {
  return {
    'GET /': async () => ({ pid: process.pid }),
    'GET /started': () => started,
    'POST /check': () => supervisor.check(),
    'POST /reload': async () => {
      const done = await supervisor.reload()
      info(`reloaded: ${done}`)
      return done
    },
    'POST /restart': () => supervisor.restart(),
    'POST /stop': async (query) => {
      const seconds = query.get('seconds')
      const stopped = supervisor.stop(seconds === null ? undefined : Number(seconds) * 1000)
      stopRequested.resolve()
      await stopped
      await released
    },
  }
}
