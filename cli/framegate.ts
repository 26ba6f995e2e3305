// The command framegate: `framegate COMMAND …`. Exit status 0 when it worked, 1 when not, 2 for a wrong command line.
import { GatewayError } from '../plugin/gateway/gateway.ts'
import { checkCommands } from './commands/check.ts'
import { type Command, print, runCommand, UsageError } from './commands/command.ts'
import { connectionCommands } from './commands/connections.ts'
import { pushCommands } from './commands/push.ts'
import { serviceCommands } from './commands/service.ts'
import { statusCommands } from './commands/status.ts'
import { topicCommands } from './commands/topics.ts'
import { Failure } from './failure.ts'
import { tell } from './service/foreground.ts'

const COMMANDS: Record<string, Command> = {
  ...serviceCommands,
  ...checkCommands,
  ...statusCommands,
  ...pushCommands,
  ...connectionCommands,
  ...topicCommands,
}

function overview(): string {
  const rows = Object.entries(COMMANDS).map(([name, { usage, summary }]) => [
    `${name} ${usage}`.trim(),
    summary.split('\n')[0]!,
  ])
  const width = Math.max(...rows.map(([left]) => left!.length))
  const lines = rows.map(([left, summary]) => `  ${left!.padEnd(width)}  ${summary}`)
  return ['framegate COMMAND [OPTIONS]', '', ...lines, '', 'framegate COMMAND --help tells the options of each.'].join(
    '\n',
  )
}

async function main(name: string | undefined, args: string[]): Promise<void> {
  if (name === '--help' || name === '-h' || name === 'help') return print(overview())
  if (name === undefined) throw new UsageError(`a command is missing: ${Object.keys(COMMANDS).join(', ')}`)
  const command = Object.hasOwn(COMMANDS, name) && COMMANDS[name]
  if (!command) throw new UsageError(`${name} is no command: ${Object.keys(COMMANDS).join(', ')}`)
  await runCommand(name, command, args)
}

/** A line or two for what was foreseen; anything else is a defect of ours, and shows where. */
function explain(error: Error): string {
  return error instanceof Failure || error instanceof GatewayError ? error.message : (error.stack ?? error.message)
}

const [name, ...args] = process.argv.slice(2)
process.stdout.on('error', () => process.exit(1)) // such as `| head`
main(name, args).catch((error: Error) => {
  tell(explain(error))
  process.exitCode = error instanceof UsageError ? 2 : 1
})
