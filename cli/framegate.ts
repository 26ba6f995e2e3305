// The command `framegate`.
// It exits with status 0 on success, 1 on failure, and 2 for a wrong command line.
import { Command, CommanderError } from 'commander'
import { GatewayError } from '../plugin/gateway/gateway.ts'
import { bridge } from './commands/bridge.ts'
import { check } from './commands/check.ts'
import { closes } from './commands/closes.ts'
import { close, connections } from './commands/connections.ts'
import { broadcast, publish, send, user } from './commands/push.ts'
import { dev, reload, restart, start, stop } from './commands/service.ts'
import { status } from './commands/status.ts'
import { topic, topics } from './commands/topics.ts'
import { Failure, UsageError } from './failure.ts'
import { error as printError } from './service/foreground.ts'

const COMMANDS = [
  ...[start, stop, restart, reload, dev],
  ...[check, status],
  ...[send, publish, user, broadcast],
  ...[connections, close, closes, topics, topic],
  bridge,
]

function program(): Command {
  const framegate = new Command('framegate')
    .usage('<command> [options]')
    .addHelpText('after', '\nframegate <command> --help shows the options of a command.')
    .exitOverride()
    .configureOutput({ writeErr: () => {} }) // exitOverride throws the same text
  for (const command of COMMANDS) framegate.addCommand(command.copyInheritedSettings(framegate))
  return framegate
}

/** Runs the command line. Rejects with what went wrong. */
async function run(argv: string[]): Promise<void> {
  try {
    await program().parseAsync(argv)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode !== 0) throw new UsageError(explain(error))
  }
}

function explain({ code, message }: CommanderError): string {
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ')
  switch (code) {
    case 'commander.help':
      return `no command given; expected one of: ${COMMANDS.map((command) => command.name()).join(', ')}`
    case 'commander.excessArguments':
      return `${text} Quote data that contains spaces.`
    default:
      return text
  }
}

process.stdout.on('error', () => process.exit(1)) // such as `| head`
run(process.argv).catch((error: Error) => {
  if (error instanceof GatewayError) printError(error.detail)
  else printError(error instanceof Failure ? error.message : (error.stack ?? error.message))
  process.exitCode = error instanceof UsageError ? 2 : 1
})
