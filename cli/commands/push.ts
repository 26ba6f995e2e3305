import type { Counts, Gateway } from '../../plugin/gateway/gateway.ts'
import { type Command, type Input, type Options, readData } from './command.ts'
import { GATEWAY_OPTIONS, gatewayOf, show } from './gateway.ts'
import { counted } from './table.ts'

const SEND_OPTIONS: Options = {
  binary: { type: 'boolean', help: 'send a binary frame' },
  key: { type: 'string', value: 'KEY', help: 'deliver nothing twice when this is repeated within 60 s' },
  quiet: { type: 'boolean', short: 'q', help: 'print nothing when it worked, as cron likes it' },
  ...GATEWAY_OPTIONS,
}

const PUSH_OPTIONS: Options = {
  except: { type: 'string', value: 'ID', help: 'the connection that does not get it' },
  ...SEND_OPTIONS,
}

type Push = {
  gateway: Gateway
  /** To whom; nothing for everybody. */
  to: string
  data: string | Buffer
  options: { except?: string | undefined; idempotencyKey?: string | undefined }
}

const DATA = 'DATA is sent as it is. Without it, or as -, standard input is read; of text, without its last line break.'

function pushCommand(usage: string, summary: string, push: (push: Push) => Promise<Counts>): Command {
  return {
    usage,
    summary: `${summary}\n${DATA}`,
    options: push === send ? SEND_OPTIONS : PUSH_OPTIONS,
    async run(input: Input) {
      const { binary, quiet, except, key } = input.options
      const [to, data] = usage.startsWith('[') ? ['', input.args[0]] : [input.args[0]!, input.args[1]]
      const gateway = gatewayOf(input)
      const options = { except: except as string | undefined, idempotencyKey: key as string | undefined }
      const counts = await push({ gateway, to, data: await readData(data, binary === true), options })
      if (!quiet) show(input, counts, describe)
    },
  }
}

function describe({ delivered, dropped }: Counts): string {
  return `delivered to ${counted(delivered, 'socket')}${dropped > 0 ? `, dropped for ${counted(dropped, 'slow reader')}` : ''}`
}

const send = ({ gateway, to, data, options }: Push): Promise<Counts> => gateway.send(to, data, options)

export const pushCommands: Record<string, Command> = {
  send: pushCommand('ID [DATA]', 'Sends a frame to one connection; fails when it is gone or does not read.', send),
  publish: pushCommand(
    'TOPIC [DATA]',
    'Sends a frame to all subscribers of a topic, be it nobody.',
    ({ gateway, to, data, options }) => gateway.publish(to, data, options),
  ),
  user: pushCommand(
    'NAME [DATA]',
    'Sends a frame to all connections of a user, be it none.',
    ({ gateway, to, data, options }) => gateway.user(to, data, options),
  ),
  broadcast: pushCommand('[DATA]', 'Sends a frame to every connection.', ({ gateway, data, options }) =>
    gateway.broadcast(data, options),
  ),
}
