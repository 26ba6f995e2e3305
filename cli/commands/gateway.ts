// The options that name a gateway, and the client made from them.
import { type Command, Option } from 'commander'
import { Gateway } from '../../plugin/gateway/gateway.ts'
import { readEnvironment, runDirectory } from '../environment.ts'
import { UsageError } from '../failure.ts'

export type GatewayOptions = { json?: boolean; socket?: string; url?: string; token?: string }

/** Adds the options of every command that asks a gateway. */
export function withGatewayOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON')
    .addOption(
      new Option(
        '--socket <path>',
        "the gateway's control socket (CONTROL_SOCKET, run/control/control.sock)",
      ).conflicts('url'),
    )
    .option('--url <url>', "the gateway's control port: http://host:port (CONTROL_URL)")
    .option('--token <token>', 'for the control port; CONTROL_TOKEN is safer, as it is not in the list of processes')
}

/**
 * The gateway that the options name, or else the environment.
 * @throws {UsageError} for a URL that cannot be used
 */
export function gatewayOf({ socket, url, token }: GatewayOptions): Gateway {
  const env = readEnvironment(process.env)
  try {
    return new Gateway({
      url: socket === undefined ? (url ?? urlFrom(env)) : `unix:${socket}`,
      token: token ?? env.CONTROL_TOKEN,
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** A gateway that was started with RUN_DIR is found with RUN_DIR. */
function urlFrom(env: NodeJS.ProcessEnv): string | undefined {
  if (env.CONTROL_URL) return env.CONTROL_URL
  if (env.CONTROL_SOCKET) return `unix:${env.CONTROL_SOCKET}`
  return env.RUN_DIR ? `unix:${runDirectory(env)}/control/control.sock` : undefined
}
