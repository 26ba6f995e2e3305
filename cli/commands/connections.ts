import type { ConnectionInfo, ConnectionPage, Page } from '../../plugin/gateway/gateway.ts'
import { type Command, type Input, numberOf, type Options, print, UsageError } from './command.ts'
import { GATEWAY_OPTIONS, gatewayOf, show } from './gateway.ts'
import { counted, table } from './table.ts'

const PAGE = 1000

export const LIST_OPTIONS: Options = {
  limit: { type: 'string', value: 'N', help: 'at most so many' },
  ...GATEWAY_OPTIONS,
}

type List = { connections: ConnectionInfo[]; count: number }

/** As many connections as `--limit` wants, page after page. */
export async function gather({ options }: Input, fetch: (page: Page) => Promise<ConnectionPage>): Promise<List> {
  const limit = numberOf('limit', options.limit) ?? Infinity
  const connections: ConnectionInfo[] = []
  let cursor: string | undefined
  let count = 0
  do {
    const page = await fetch({ limit: Math.max(1, Math.min(PAGE, limit - connections.length)), cursor })
    connections.push(...page.connections.slice(0, limit - connections.length))
    cursor = page.cursor
    count = page.count
  } while (cursor !== undefined && connections.length < limit)
  return { connections, count }
}

/** Times in seconds, sizes in bytes. */
function connectionTable(connections: ConnectionInfo[]): string {
  const headings = [
    'ID',
    'USER',
    'ADDRESS',
    'AGE',
    'IDLE',
    'FRAMES IN',
    'OUT',
    'BYTES IN',
    'OUT',
    'OUTBOX',
    'PATH',
    'TOPICS',
  ]
  return table(
    headings,
    connections.map(({ id, user, address, age, idle, frames, bytes, outbox, path, topics }) => [
      id,
      user,
      address,
      age,
      idle,
      frames.in,
      frames.out,
      bytes.in,
      bytes.out,
      outbox,
      path,
      topics.join(' '),
    ]),
  )
}

/** A table, and how many there are. */
export function listing({ connections, count }: List): string {
  if (connections.length === 0) return counted(count, 'connection')
  const summary =
    connections.length < count
      ? `${connections.length} of ${counted(count, 'connection')}`
      : counted(count, 'connection')
  return `${connectionTable(connections)}\n\n${summary}`
}

const FIELDS: Record<string, (facts: ConnectionInfo) => string | number> = {
  id: ({ id }) => id,
  user: ({ user }) => user ?? '',
  address: ({ address }) => address,
  path: ({ path }) => path,
  topics: ({ topics }) => topics.length,
  age: ({ age }) => age,
  idle: ({ idle }) => idle,
  outbox: ({ outbox }) => outbox,
  'frames-in': ({ frames }) => frames.in,
  'frames-out': ({ frames }) => frames.out,
  'bytes-in': ({ bytes }) => bytes.in,
  'bytes-out': ({ bytes }) => bytes.out,
}

type Chosen = Input['options']

function fits({ user, topic, path, address }: Chosen, facts: ConnectionInfo): boolean {
  return (
    (user === undefined || facts.user === user) &&
    (topic === undefined || facts.topics.includes(topic as string)) &&
    (path === undefined || facts.path.startsWith(path as string)) &&
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

const connections: Command = {
  usage: '',
  summary:
    'Lists open connections, with what has passed over them.\nAge, and idle since the client last sent something, are in seconds; the outbox is bytes that wait for it.',
  options: {
    user: { type: 'string', value: 'NAME', help: "only this user's" },
    topic: { type: 'string', value: 'TOPIC', help: 'only those that subscribe to it' },
    path: { type: 'string', value: 'PATH', help: 'only those whose path begins so' },
    address: { type: 'string', value: 'ADDRESS', help: 'only those of this client' },
    sort: {
      type: 'string',
      value: 'FIELD',
      help: `by ${Object.keys(FIELDS).join(', ')}; numbers from the largest down`,
    },
    ...LIST_OPTIONS,
  },
  async run(input) {
    const { sort, limit, ...chosen } = input.options
    if (sort !== undefined && !Object.hasOwn(FIELDS, sort as string))
      throw new UsageError(`--sort takes one of ${Object.keys(FIELDS).join(', ')}`)
    const gateway = gatewayOf(input)
    const narrows = ['user', 'topic', 'path', 'address'].some((name) => chosen[name] !== undefined)
    if (sort === undefined && !narrows)
      return show(input, await gather(input, (page) => gateway.connections(page)), listing)
    const most = numberOf('limit', limit) ?? Infinity
    const all = await gather({ args: [], options: {} }, (page) => gateway.connections(page))
    const found = all.connections.filter((facts) => fits(chosen, facts))
    const list = sort === undefined ? found : sorted(found, sort as string)
    show(input, { connections: list.slice(0, most), count: found.length }, listing)
  },
}

const close: Command = {
  usage: 'ID',
  summary: 'Closes a connection, after what waits to be sent to it; fails when it is gone.',
  options: {
    code: { type: 'string', value: 'CODE', help: 'the close code: 1000 (the default) or 3000 to 4999' },
    reason: { type: 'string', value: 'TEXT', help: 'what the client is told, at most 123 bytes' },
    ...GATEWAY_OPTIONS,
  },
  async run(input) {
    const code = numberOf('code', input.options.code) ?? 1000
    const reason = (input.options.reason ?? '') as string
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new UsageError('--code is 1000 or 3000 to 4999')
    if (Buffer.byteLength(reason) > 123) throw new UsageError('--reason has at most 123 bytes of UTF-8')
    await gatewayOf(input).close(input.args[0]!, code, reason)
    print(input.options.json ? '{"closed":true}' : 'closed')
  },
}

export const connectionCommands: Record<string, Command> = { connections, close }
