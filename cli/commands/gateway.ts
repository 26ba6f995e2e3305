import { Gateway } from '../../plugin/gateway/gateway.ts'
import { readEnvironment, runDirectory } from '../environment.ts'
import { type Input, type Options, print, UsageError } from './command.ts'

/** Options of every command that asks a gateway. */
export const GATEWAY_OPTIONS: Options = {
  json: { type: 'boolean', help: 'print JSON' },
  socket: {
    type: 'string',
    value: 'PATH',
    help: "the gateway's control socket (CONTROL_SOCKET, run/control/control.sock)",
  },
  url: { type: 'string', value: 'URL', help: "the gateway's control port: http://host:port (CONTROL_URL)" },
  token: {
    type: 'string',
    value: 'TOKEN',
    help: 'of the control port; better in CONTROL_TOKEN, where no list of processes shows it',
  },
}

/** The gateway that the options or the environment name. */
export function gatewayOf({ options }: Input): Gateway {
  const { socket, url, token } = options as Record<string, string | undefined>
  if (socket !== undefined && url !== undefined) throw new UsageError('--socket and --url exclude each other')
  const env = readEnvironment(process.env)
  try {
    return new Gateway({
      url: socket === undefined ? (url ?? whereIs(env)) : `unix:${socket}`,
      token: token ?? env.CONTROL_TOKEN,
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** What was started with RUN_DIR is found with RUN_DIR. */
function whereIs(env: NodeJS.ProcessEnv): string | undefined {
  if (env.CONTROL_URL) return env.CONTROL_URL
  if (env.CONTROL_SOCKET) return `unix:${env.CONTROL_SOCKET}`
  return env.RUN_DIR ? `unix:${runDirectory(env)}/control/control.sock` : undefined
}

/** Prints an answer as JSON if that was asked for, else as people read it. */
export function show<T>({ options }: Input, answer: T, text: (answer: T) => string): void {
  print(options.json ? JSON.stringify(answer) : text(answer))
}
