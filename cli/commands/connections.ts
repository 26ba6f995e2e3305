import type { ConnectionFacts, ConnectionPage, Page } from '../../handler/gateway.ts'
import { numberOf, print, UsageError, type Command, type Input, type Options } from './command.ts'
import { GATEWAY_OPTIONS, gatewayOf, show } from './gateway.ts'
import { counted, table } from './table.ts'

const PAGE = 1000

export const LIST_OPTIONS: Options = { limit: { type: 'string', value: 'N', help: 'at most so many' }, ...GATEWAY_OPTIONS }

type List = { connections: ConnectionFacts[], count: number }

/** As many connections as `--limit` wants, page after page. */
export async function gather ({ options }: Input, fetch: (page: Page) => Promise<ConnectionPage>): Promise<List> {
  const limit = numberOf('limit', options.limit) ?? Infinity
  const connections: ConnectionFacts[] = []
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

/** Times in seconds, the outbox in bytes. */
function connectionTable (connections: ConnectionFacts[]): string {
  return table(['ID', 'USER', 'ADDRESS', 'AGE', 'IDLE', 'OUTBOX', 'PATH', 'TOPICS'], connections.map((facts) =>
    [facts.id, facts.user, facts.address, facts.age, facts.idle, facts.outbox, facts.path, facts.topics.join(' ')]))
}

/** A table, and how many there are. */
export function listing ({ connections, count }: List): string {
  if (connections.length === 0) return counted(count, 'connection')
  const summary = connections.length < count ? `${connections.length} of ${counted(count, 'connection')}` : counted(count, 'connection')
  return `${connectionTable(connections)}\n\n${summary}`
}

const connections: Command = {
  usage: '',
  summary: 'Lists open connections: age and time since the client last sent something in seconds, bytes that wait for it.',
  options: LIST_OPTIONS,
  async run (input) {
    const gateway = gatewayOf(input)
    show(input, await gather(input, (page) => gateway.connections(page)), listing)
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
  async run (input) {
    const code = numberOf('code', input.options.code) ?? 1000
    const reason = (input.options.reason ?? '') as string
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new UsageError('--code is 1000 or 3000 to 4999')
    if (Buffer.byteLength(reason) > 123) throw new UsageError('--reason has at most 123 bytes of UTF-8')
    await gatewayOf(input).close(input.args[0]!, code, reason)
    print(input.options.json ? '{"closed":true}' : 'closed')
  },
}

export const connectionCommands: Record<string, Command> = { connections, close }
