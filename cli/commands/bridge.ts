// The command `bridge`: sockets of the gateway for devices that speak plain TCP or UDP.
import { Command, InvalidArgumentError, Option } from 'commander'
import { type Listen, readListen } from '../bridge/address.ts'
import { readEnvironment } from '../environment.ts'
import { UsageError } from '../failure.ts'
import { foreground, info } from '../service/foreground.ts'
import { wholeNumber } from './arguments.ts'

type Options = {
  tcp?: Listen
  udp?: Listen
  lengthPrefixed?: boolean
  gateway?: string
  maxConnections: number
  maxBytes: number
  idle: number
  timeout: number
  metrics?: Listen
}

export const bridge = new Command('bridge')
  .summary('Connects devices that speak plain TCP or UDP to the gateway.')
  .description(
    'Listens for plain TCP or UDP. Each TCP connection, and each address that sends datagrams, becomes one socket of the ' +
      'gateway at the path, such as /ws/devices. Its address is in x-forwarded-for, so TRUSTED_PROXIES of the gateway ' +
      'must name the bridge. Ctrl-C closes all of them with 1001.',
  )
  .argument('<path>', 'where the sockets are, such as /ws/devices', socketPath)
  .option('--tcp <port>', 'listen for TCP: 9000, 127.0.0.1:9000 or [::1]:9000', listen)
  .option('--udp <port>', 'listen for UDP; a datagram is a message', listen)
  .addOption(
    new Option('--lines', 'a message is a line, and becomes a text frame (the default)').conflicts('lengthPrefixed'),
  )
  .option('--length-prefixed', 'a message follows its length in 4 bytes (big endian), and becomes a binary frame')
  .option('--gateway <url>', 'the gateway: ws://host:port or wss://host:port (default: ws://127.0.0.1:PORT)')
  .option('--max-connections <n>', 'devices at a time', positive, 1000)
  .option('--max-bytes <n>', 'bytes in a message of a device', positive, 1048576)
  .option('--idle <seconds>', 'seconds without a datagram after which a UDP device is gone', seconds, 60)
  .option(
    '--timeout <seconds>',
    'seconds for the gateway to accept a device, and for a TCP device to read what waits',
    seconds,
    30,
  )
  .option('--metrics <port>', 'answer GET /metrics there, for Prometheus', listen)
  .action(async (path: string, options: Options) => {
    const url = urlOf(path, options.gateway)
    if (!options.tcp && !options.udp) throw new UsageError('expected --tcp <port>, --udp <port> or both')
    await foreground(async (stop) => {
      const [{ Bridge }, framings] = await Promise.all([import('../bridge/bridge.ts'), import('../bridge/framing.ts')])
      const { tcp, udp, metrics, maxConnections, maxBytes } = options
      const running = new Bridge({
        ...{ url, tcp, udp, metrics, maxConnections, maxBytes },
        framing: options.lengthPrefixed ? framings.lengthPrefixed : framings.lines,
        idleMs: options.idle * 1000,
        timeoutMs: options.timeout * 1000,
      })
      await running.start()
      info(`bridge from ${portsOf(options)} to ${url}`)
      info('Press Ctrl-C to stop')
      await stop.requested
      await Promise.race([running.stop(), stop.requestedAgain])
    })
  })

function portsOf({ tcp, udp }: Options): string {
  return [tcp && `TCP port ${tcp.port}`, udp && `UDP port ${udp.port}`].filter(Boolean).join(' and ')
}

/** @throws {UsageError} for a URL that no gateway has */
function urlOf(path: string, gateway = `ws://127.0.0.1:${readEnvironment(process.env).PORT || 8080}`): string {
  if (!/^wss?:\/\/[^/?#@]+\/?$/.test(gateway) || !URL.canParse(path, gateway)) {
    throw new UsageError(`--gateway ${gateway}: expected ws://host:port or wss://host:port`)
  }
  return new URL(path, gateway).href
}

function socketPath(text: string): string {
  if (!/^\/(?!\/)[^\s#]*$/.test(text)) throw new InvalidArgumentError('Expected a path such as /ws/devices.')
  return text
}

function listen(text: string): Listen {
  const address = readListen(text)
  if (!address)
    throw new InvalidArgumentError('Expected a port, alone or after an address: 9000, 127.0.0.1:9000 or [::1]:9000.')
  return address
}

function positive(text: string): number {
  const number = wholeNumber(text)
  if (number === 0) throw new InvalidArgumentError('Expected a number from 1.')
  return number
}

/** setTimeout takes no more (2^31 ms). */
function seconds(text: string): number {
  const number = positive(text)
  if (number > 86400) throw new InvalidArgumentError('Expected 1 to 86400 seconds.')
  return number
}
