/** What is left in a gateway, looked up from outside and inside, and what must be true once nobody is connected any more. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { request } from 'node:http'
import { askSocket, type Gateway } from '../support/gateway.ts'

/** A location of the test's own: the records that workers share, and nginx's own count. */
export const FACTS_LOCATION = `
location = /facts {
    content_by_lua_block {
        ngx.say(#ngx.shared.sockets:get_keys(0))
    }
}
`

export type Facts = {
  /** Sockets that are listed. */
  connections: number
  topics: number
  /** Processes of the gateway that serve. */
  workers: number
  missingLinks: number
  /** Events that wait. */
  waiting: number
  /** Records of sockets in shared memory. */
  records: number
  /** Connections that the kernel knows on the public port, on the gateway's side. */
  tcp: number
  /** Connections that have ended for the kernel, by a reset, while a worker still holds them. */
  dead: number
  /** Sockets that were accepted and have not ended, by the counters. */
  unended: number
  /** Deliveries of events that have ended in a time-out, since the gateway started. */
  timeouts: number
  /** Messages that are queued, and bytes that wait to be sent. */
  queued: number
  outbox: number
  /** Open files of the workers. */
  files: number
  /** Memory of the workers, in bytes. */
  memory: number
}

/** Each must be this when nobody is connected. */
export function isQuiet(facts: Facts, workers: number): boolean {
  const { connections, topics, missingLinks, waiting, records, tcp, dead, unended, queued, outbox } = facts
  const nothing = [connections, topics, missingLinks, waiting, records, tcp, dead, unended, queued, outbox]
  return facts.workers === workers && nothing.every((count) => count === 0)
}

/** IPv4 sockets with this local port that are neither listening nor gone (TIME_WAIT). */
function tcpOf(port: number): number {
  const [LISTEN, TIME_WAIT] = ['0A', '06']
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state]) => address?.endsWith(local) && state !== LISTEN && state !== TIME_WAIT).length
}

/** Numbers of the sockets that the kernel has in its tables. */
function knownSockets(): Set<string> {
  const inodes = (table: string, column: number): string[] =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[column] ?? '')
  return new Set([...inodes('unix', 6), ...['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) => inodes(table, 9))])
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`)) ?? []
    return inode ? [inode] : []
  })
}

function linkOf(path: string): string {
  return ofProcess(() => readlinkSync(path)) ?? ''
}

/** undefined of a process, or of a file of it, that has gone meanwhile. */
function ofProcess<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code!)) return undefined
    throw error
  }
}

function filesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function residentOf(pid: number): number {
  const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return Number(pages) * 4096
}

/** Asks the public port on a connection that ends, so that it does not count itself for long. */
function askPublic(gateway: Gateway, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(`${gateway.url}${path}`, { agent: false }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () => resolve(body))
    })
      .on('error', reject)
      .end()
  })
}

/** The sum of a metric's series, of those with the label's value if one is given. */
function sumOf(metrics: string, name: string, value = ''): number {
  const samples = metrics
    .split('\n')
    .filter((line) => line.startsWith(`framegate_${name}{`) || line.startsWith(`framegate_${name} `))
    .filter((line) => line.includes(value))
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** Looks everything up. */
export async function lookUp(gateway: Gateway): Promise<Facts> {
  const control = async (path: string): Promise<string> =>
    (await askSocket(path, `${gateway.run}/control/control.sock`)).body
  const tcp = tcpOf(gateway.port)
  const status = JSON.parse(await control('/status'))
  const metrics = await control('/metrics')
  const workers = gateway.workers()
  const held = workers.flatMap((pid) => ofProcess(() => socketsOf(pid)) ?? [])
  const known = knownSockets()
  return {
    connections: JSON.parse(await control('/connections')).count,
    topics: Object.keys(JSON.parse(await control('/topics')).topics).length,
    workers: workers.length,
    missingLinks: status.missing_links,
    waiting: status.workers.reduce((sum: number, worker: { waiting: number }) => sum + worker.waiting, 0),
    records: Number(await askPublic(gateway, '/facts')),
    tcp,
    dead: held.filter((inode) => !known.has(inode)).length,
    unended: sumOf(metrics, 'sockets_opened_total') - sumOf(metrics, 'sockets_closed_total'),
    timeouts: sumOf(metrics, 'events_total', 'timeout') + sumOf(metrics, 'event_retries_total', 'timeout'),
    queued: sumOf(metrics, 'messages_queued'),
    outbox: sumOf(metrics, 'outbox_bytes'),
    files: workers.reduce((sum, pid) => sum + (ofProcess(() => filesOf(pid)) ?? 0), 0),
    memory: workers.reduce((sum, pid) => sum + (ofProcess(() => residentOf(pid)) ?? 0), 0),
  }
}
