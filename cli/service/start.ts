import { readEnvironment, runDirectory } from '../environment.ts'
import { type Stop, say } from './foreground.ts'
import { takeRunDirectory } from './run-directory.ts'
import { Supervisor } from './supervisor.ts'
import { type Requests, serveRequests } from './supervisor-socket.ts'

export type StartOptions = {
  environment: NodeJS.ProcessEnv
  stop: Stop
  /** What runs beside the gateway until it stops. */
  beside?: (supervisor: Supervisor) => { close: () => Promise<void> }
}

/** Runs gateway and handler until a stop is asked for, by a signal or by the command. Rejects with a Failure when they cannot run. */
export async function start({ environment, stop, beside }: StartOptions): Promise<void> {
  const directory = await takeRunDirectory(runDirectory(readEnvironment(environment)))
  const supervisor = new Supervisor({ run: directory.path, environment, say })
  const stopAsked = Promise.withResolvers<void>()
  const started = supervisor.start()
  started.catch(() => {}) // told below
  const requests = await serveRequests(directory.path, requestsOf({ supervisor, started, stopAsked }))
  let companion: { close: () => Promise<void> } | undefined
  try {
    const run = started.then(() => {
      companion = beside?.(supervisor)
      say('Ctrl-C stops it')
      return supervisor.failed
    })
    await Promise.race([run, stop.asked, stopAsked.promise])
  } finally {
    await Promise.race([Promise.all([supervisor.stop(), companion?.close()]), stop.askedAgain])
    await supervisor.kill()
    await requests.close()
    directory.release()
  }
}

type Asked = { supervisor: Supervisor; started: Promise<void>; stopAsked: PromiseWithResolvers<void> }

function requestsOf({ supervisor, started, stopAsked }: Asked): Requests {
  return {
    'GET /': async () => ({ pid: process.pid }),
    'GET /started': () => started,
    'POST /check': () => supervisor.check(),
    'POST /reload': () =>
      supervisor.reload().then((done) => {
        say(`reloaded: ${done}`)
        return done
      }),
    'POST /restart': () => supervisor.restart(),
    'POST /stop': async (query) => {
      const stopped = supervisor.stop(Number(query.get('seconds')) * 1000)
      stopAsked.resolve()
      await stopped
    },
  }
}
