// The commands that push a frame: `send`, `user`, `publish` and `broadcast`.
import { buffer } from 'node:stream/consumers'
import { Argument, Command, Option } from 'commander'
import type { Counts, Gateway, PublishOptions } from '../../plugin/gateway/gateway.ts'
import { UsageError } from '../failure.ts'
import { notEmpty } from './arguments.ts'
import { type GatewayOptions, gatewayOf, withGatewayOptions } from './gateway.ts'
import { show } from './output.ts'
import { counted } from './table.ts'

type Options = GatewayOptions & { binary?: boolean; except?: string; key?: string; quiet?: boolean; replace?: string }

type Push = (gateway: Gateway, data: string | Buffer, options: PublishOptions) => Promise<Counts>

const FROM_STDIN =
  'Without data, or with -, the frame is read from standard input; of text, the last line break is removed.'

const EXCEPT = new Option('--except <id>', 'a connection that does not get the frame')

function pushCommand(name: string, description: string, target?: Argument): Command {
  const command = new Command(name).summary(description).description(`${description} ${FROM_STDIN}`)
  if (target) command.addArgument(target.argParser(notEmpty))
  return withGatewayOptions(
    command
      .argument('[data]', 'what to send')
      .option('--binary', 'send a binary frame')
      .option('--key <key>', 'deliver nothing twice when this command is repeated with the same key within 60 s')
      .option('-q, --quiet', 'print nothing on success (for cron)'),
  )
}

async function push(data: string | undefined, options: Options, to: Push): Promise<void> {
  const { binary = false, except, key, replace } = options
  const gateway = gatewayOf(options)
  const counts = await to(gateway, await readData(data, binary), { except, replace, idempotencyKey: key })
  if (!options.quiet) show(options, counts, describe)
}

/** The argument, or standard input. @throws {UsageError} for text that is not UTF-8 */
async function readData(argument: string | undefined, isBinary: boolean): Promise<string | Buffer> {
  if (argument !== undefined && argument !== '-') return isBinary ? Buffer.from(argument) : argument
  const bytes = await buffer(process.stdin)
  if (isBinary) return bytes
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '')
  } catch {
    throw new UsageError('standard input is not UTF-8: send it with --binary')
  }
}

function describe({ delivered, dropped }: Counts): string {
  return `delivered to ${counted(delivered, 'socket')}${dropped > 0 ? `, dropped for ${counted(dropped, 'slow reader')}` : ''}`
}

export const send = pushCommand(
  'send',
  'Sends a frame to one connection; fails when it is gone or reads too slowly.',
  new Argument('<id>', 'of the connection'),
).action((id: string, data: string | undefined, options: Options) =>
  push(data, options, (gateway, frame, how) => gateway.send(id, frame, how)),
)

export const publish = pushCommand(
  'publish',
  'Sends a frame to every subscriber of a topic, if any.',
  new Argument('<topic>', 'its name'),
)
  .addOption(EXCEPT)
  .option('--replace <key>', 'of the frames with one key that wait for a slow reader, send only the newest')
  .action((topic: string, data: string | undefined, options: Options) =>
    push(data, options, (gateway, frame, how) => gateway.publish(topic, frame, how)),
  )

export const user = pushCommand(
  'user',
  'Sends a frame to every connection of a user, if any.',
  new Argument('<name>', 'of the user'),
)
  .addOption(EXCEPT)
  .action((name: string, data: string | undefined, options: Options) =>
    push(data, options, (gateway, frame, how) => gateway.user(name, frame, how)),
  )

export const broadcast = pushCommand('broadcast', 'Sends a frame to every connection.')
  .addOption(EXCEPT)
  .action((data: string | undefined, options: Options) =>
    push(data, options, (gateway, frame, how) => gateway.broadcast(frame, how)),
  )
