// The commands `connections` and `close`: list sockets, and close them.
import { Argument, Command, Option } from 'commander'
import type { ConnectionInfo, Gateway, Page } from '../../plugin/gateway/gateway.ts'
import { closeCode, closeReason, notEmpty, wholeNumber } from './arguments.ts'
import { duration } from './duration.ts'
import { type GatewayOptions, gatewayOf, withGatewayOptions } from './gateway.ts'
import { show, warnOfMissing } from './output.ts'
import { counted, table } from './table.ts'

const PAGE = 1000
const HEADINGS = 'ID,USER,ADDRESS,STATE,COMPRESSED,AGE,IDLE,FRAMES IN,OUT,BYTES IN,OUT,OUTBOX,PATH,TOPICS'.split(',')

export type LimitOptions = GatewayOptions & { limit?: number }

/** Which connections of a list are shown, and whether with the queries of their paths. */
export type ListOptions = LimitOptions & { showQuery?: boolean; away?: boolean }

type List = { connections: ConnectionInfo[]; count: number }

export function withLimitOptions(command: Command): Command {
  return withGatewayOptions(command.option('--limit <n>', 'at most this many', wholeNumber))
}

export function withListOptions(command: Command): Command {
  return withLimitOptions(command).option('--show-query', 'show paths with their queries, which may hold tokens')
}

/** The first `limit` connections, or subscribers of a topic, and how many there are. */
export async function gather(
  gateway: Gateway,
  { limit = Infinity, showQuery, away }: ListOptions,
  topic?: string,
): Promise<List> {
  const connections: ConnectionInfo[] = []
  const reading: Page = { onMissing: warnOfMissing(), away }
  const wanted = { ...reading, topic, limit: Math.min(PAGE, limit + 1), showQuery }
  for await (const facts of gateway.everyConnection(wanted)) {
    if (connections.length === limit) return { connections, count: await countOf(gateway, reading, topic) }
    connections.push(facts)
  }
  return { connections, count: connections.length }
}

async function countOf(gateway: Gateway, reading: Page, topic: string | undefined): Promise<number> {
  const page = { ...reading, limit: 1 }
  return (await (topic === undefined ? gateway.connections(page) : gateway.topic(topic, page))).count
}

function stateOf({ session }: ConnectionInfo): string {
  return session?.away === undefined ? 'here' : `away ${duration(session.away)}`
}

/** Times in seconds, sizes in bytes. Only connections of a cluster have a node. */
function connectionTable(connections: ConnectionInfo[]): string {
  const rows = connections.map((facts) => [
    ...[facts.id, facts.user, facts.address, stateOf(facts), facts.compression && 'yes'],
    ...[facts.age, facts.idle],
    ...[facts.frames.in, facts.frames.out, facts.bytes.in, facts.bytes.out, facts.outbox],
    ...[facts.path, facts.topics.join(' ')],
  ])
  if (connections.every(({ node }) => node === undefined)) return table(HEADINGS, rows)
  return table(
    HEADINGS.toSpliced(1, 0, 'NODE'),
    rows.map((row, i) => row.toSpliced(1, 0, connections[i]!.node)),
  )
}

/** A table, and how many there are. */
export function listing({ connections, count }: List): string {
  if (connections.length === 0) return counted(count, 'connection')
  const shown = connections.length < count ? `${connections.length} of ` : ''
  return `${connectionTable(connections)}\n\n${shown}${counted(count, 'connection')}`
}

const FIELDS: Record<string, (facts: ConnectionInfo) => string | number> = {
  id: ({ id }) => id,
  user: ({ user }) => user ?? '',
  node: ({ node }) => node ?? '',
  address: ({ address }) => address,
  path: ({ path }) => path,
  topics: ({ topics }) => topics.length,
  age: ({ age }) => age,
  idle: ({ idle }) => idle,
  outbox: ({ outbox }) => outbox,
  away: ({ session }) => session?.away ?? -1,
  'frames-in': ({ frames }) => frames.in,
  'frames-out': ({ frames }) => frames.out,
  'bytes-in': ({ bytes }) => bytes.in,
  'bytes-out': ({ bytes }) => bytes.out,
}

type Filter = {
  user?: string
  topic?: string
  path?: string
  address?: string
  node?: string
  away?: boolean
  showQuery?: boolean
}

function fits({ user, path = '', address }: Filter, facts: ConnectionInfo): boolean {
  return (
    (user === undefined || facts.user === user) &&
    facts.path.startsWith(path) &&
    (address === undefined || facts.address === address)
  )
}

/** Texts from A to Z, numbers from the largest down. */
function sorted(connections: ConnectionInfo[], field: string): ConnectionInfo[] {
  const value = FIELDS[field]!
  return connections.toSorted((one, other) => {
    const [a, b] = [value(one), value(other)]
    return typeof a === 'number' && typeof b === 'number' ? b - a : a < b ? -1 : a > b ? 1 : 0
  })
}

async function find(gateway: Gateway, filter: Filter): Promise<ConnectionInfo[]> {
  const found: ConnectionInfo[] = []
  const { topic, node, showQuery, away } = filter
  for await (const facts of gateway.everyConnection({ topic, node, showQuery, away, onMissing: warnOfMissing() }))
    if (fits(filter, facts)) found.push(facts)
  return found
}

export const connections = withListOptions(
  new Command('connections')
    .summary('Lists open connections and their traffic.')
    .description(
      'Lists open connections and their traffic. State is whether the client of a session is away, and for how long. ' +
        'Compressed are those whose clients have negotiated it. Age, and idle since the client last sent something, are in seconds; the outbox is bytes that wait for the client.',
    )
    .option('--user <name>', 'only connections of this user')
    .option('--topic <topic>', 'only subscribers of this topic')
    .option('--path <path>', 'only connections whose path begins with this')
    .option('--address <address>', 'only connections of this client')
    .option('--node <node>', 'only connections that this node of the cluster holds: its name or id')
    .option('--away', 'only connections whose clients are away')
    .addOption(
      new Option('--sort <field>', 'sort by a field; numbers from the largest down').choices(Object.keys(FIELDS)),
    ),
).action(async (options: ListOptions & Filter & { sort?: string }) => {
  const { sort, limit, user, topic, path, address, node } = options
  const gateway = gatewayOf(options)
  if ([sort, user, topic, path, address, node].every((option) => option === undefined))
    return show(options, await gather(gateway, options), listing)
  const found = await find(gateway, options)
  const list = sort === undefined ? found : sorted(found, sort)
  show(options, { connections: list.slice(0, limit), count: found.length }, listing)
})

export const close = withGatewayOptions(
  new Command('close')
    .summary('Closes a connection.')
    .description('Closes a connection, after what waits to be sent to it. Fails when it is gone.')
    .addArgument(new Argument('<id>', 'of the connection').argParser(notEmpty))
    .option('--code <code>', 'the close code: 1000, or 3000 to 4999', closeCode, 1000)
    .option('--reason <text>', 'the close reason for the client, at most 123 bytes', closeReason),
).action(async (id: string, options: GatewayOptions & { code: number; reason?: string }) => {
  await gatewayOf(options).close(id, options.code, options.reason)
  show(options, { closed: true }, () => 'closed')
})
