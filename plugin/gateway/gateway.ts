// The client of the control API: pushes to open sockets, and lists them.

import type { HistoryOptions } from '../events/effect-values.ts'
import { contentOf, type Data, frameOf } from '../frame-data.ts'
import { type ControlRequest, GatewayClient, type GatewayOptions } from './client.ts'
import type {
  ClosedConnection,
  ConnectionInfo,
  ConnectionPage,
  ListOptions,
  Page,
  TopicCount,
  TopicPage,
} from './connection-info.ts'
import { errorOf, type GatewayError, type Problem } from './errors.ts'
import type { KeptMessages } from './kept-messages.ts'
import type { NodeList } from './node-list.ts'
import type { GatewayStatus } from './status.ts'

export type {
  ClosedConnection,
  ConnectionInfo,
  ConnectionPage,
  ListOptions,
  Page,
  SessionInfo,
  TopicCount,
  TopicPage,
} from './connection-info.ts'
export { GatewayError, GoneError, SlowReaderError, UnreachableError } from './errors.ts'
export type { KeptMessage, KeptMessages } from './kept-messages.ts'
export type { NodeInfo, NodeList, RedisLink } from './node-list.ts'
export type { GatewayStatus } from './status.ts'
export type { GatewayOptions }

/** How many sockets took a frame, and how many refused it because their outbox was full. */
export interface Counts {
  delivered: number
  dropped: number
}

/** As `Counts`, for a topic: where the frame is in what the topic keeps, or null when it is not kept. */
export interface PublishCounts extends Counts {
  position?: string | null
}

export interface PublishOptions extends PushOptions {
  /** Of the frames with one key that wait for a slow reader, only the newest is sent: 1 to 255 bytes. */
  replace?: string | undefined
}

export interface SendOptions {
  /** A request that is repeated with the same key within 60 s gets the first answer, and delivers nothing twice. */
  idempotencyKey?: string | undefined
  /** To which the span of the push belongs (docs/traces.md): `request.headers.traceparent`. */
  traceparent?: string | string[] | undefined
}

export interface PushOptions extends SendOptions {
  /** The id of a connection that does not get it. */
  except?: string | undefined
}

/** One push of a batch. */
export type BatchItem =
  | { send: string; data: Data }
  | { publish: string; data: Data; except?: string | undefined; replace?: string | undefined }
  | { user: string; data: Data; except?: string | undefined }
  | { broadcast: true; data: Data; except?: string | undefined }

/**
 * Pushes to open sockets, and lists them. A string is sent as a text frame, bytes as a binary one, anything else as
 * JSON. Pushes that are awaited one after the other arrive in that order.
 *
 * Every method rejects with a GatewayError: GoneError, SlowReaderError (of `send` alone) and UnreachableError are its kinds.
 */
export class Gateway {
  readonly #client: GatewayClient

  constructor(options: GatewayOptions = {}) {
    this.#client = new GatewayClient(options, process.env)
  }

  /** One frame to one connection. */
  send(id: string, data: Data, options: SendOptions = {}): Promise<Counts> {
    return this.#push(pathOf('connections', id), data, options)
  }

  /** A frame to all subscribers of a topic. */
  publish(topic: string, data: Data, options: PublishOptions = {}): Promise<PublishCounts> {
    return this.#push(pathOf('topics', topic), data, options)
  }

  /** The frames that a topic keeps: the `last` ones (100 by default), or all after a position. */
  messages(topic: string, wanted: { last?: number } | { after: string } = {}): Promise<KeptMessages> {
    return this.#get(withQuery(`${pathOf('topics', topic)}/messages`, { ...wanted }))
  }

  /** A frame to all connections of a user. */
  user(name: string, data: Data, options: PushOptions = {}): Promise<Counts> {
    return this.#push(pathOf('users', name), data, options)
  }

  /** A frame to every connection. */
  broadcast(data: Data, options: PushOptions = {}): Promise<Counts> {
    return this.#push('/broadcast', data, options)
  }

  /** At most 1,000 pushes in one request. The answers are in the order of the items: counts, or an error. */
  async batch(items: readonly BatchItem[], options: SendOptions = {}): Promise<Array<PublishCounts | GatewayError>> {
    const body = JSON.stringify(items.map(batchElement))
    const asked: ControlRequest = { ...options, method: 'POST', path: '/batch', body, type: 'application/json' }
    const answers = await this.#client.json<Array<{ status: number; body: PublishCounts & Problem }>>(asked)
    return answers.map(({ status, body }) => (status === 200 ? body : errorOf({ ...body, status })))
  }

  /** Closes a socket after everything that waits to be sent to it. The code is 1000 or 3000 to 4999. */
  async close(id: string, code = 1000, reason = ''): Promise<void> {
    await this.#client.json({
      method: 'DELETE',
      path: withQuery(pathOf('connections', id), { code, reason: reason || undefined }),
    })
  }

  async connection(id: string): Promise<ConnectionInfo> {
    return this.#get(pathOf('connections', id))
  }

  /** A page of connections, in the order of their ids: `limit` of them, by default 100 and at most 1,000. */
  async connections(page: Page = {}): Promise<ConnectionPage> {
    return this.#get(withQuery('/connections', parametersOf(page)), page)
  }

  /**
   * Every connection, or every subscriber of a topic, fetched in pages of `limit`:
   * `for await (const { id } of gateway.everyConnection())`.
   */
  async *everyConnection({
    topic,
    limit = 1000,
    ...options
  }: Omit<Page, 'cursor'> & { topic?: string | undefined } = {}): AsyncGenerator<ConnectionInfo, void, undefined> {
    let cursor: string | undefined
    do {
      const wanted = { ...options, limit, cursor }
      const page: ConnectionPage = await (topic === undefined ? this.connections(wanted) : this.topic(topic, wanted))
      yield* page.connections
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  /** The last sockets that closed, the newest first: `limit` of them, by default 100. The gateway keeps 1,000. */
  async closes({ limit }: { limit?: number | undefined } = {}): Promise<ClosedConnection[]> {
    return (await this.#get<{ closes: ClosedConnection[] }>(withQuery('/closes', { limit }))).closes
  }

  /** The topics that have subscribers. */
  async topics(options: ListOptions = {}): Promise<TopicCount[]> {
    return (await this.#get<{ topics: TopicCount[] }>('/topics', options)).topics
  }

  /** A page of the subscribers of a topic, as in `connections`. */
  async topic(name: string, page: Page = {}): Promise<TopicPage> {
    return this.#get(withQuery(pathOf('topics', name), parametersOf(page)), page)
  }

  /**
   * Subscribes a connection, which first gets the kept frames that are asked for; rejects with 409 when it has MAX_TOPICS
   * topics, and with 410 when it is gone, or is subscribed but not everything after the position is kept.
   */
  async subscribe(topic: string, id: string, history: HistoryOptions = {}): Promise<void> {
    await this.#client.json({
      method: 'PUT',
      path: withQuery(pathOf('topics', topic, 'connections', id), { ...history }),
    })
  }

  async unsubscribe(topic: string, id: string): Promise<void> {
    await this.#client.json({ method: 'DELETE', path: pathOf('topics', topic, 'connections', id) })
  }

  /** The nodes of the cluster, this one first, and the state of its link to Redis. Without a cluster only this node. */
  async nodes(): Promise<NodeList> {
    return this.#get('/nodes')
  }

  /** The gateway and its workers in a few numbers. Counters began when the gateway started. */
  async status(): Promise<GatewayStatus> {
    return this.#get('/status')
  }

  /** Closes the connections that are kept for the next request. An app closes those of `app.gateway` itself. */
  end(): void {
    this.#client.close()
  }

  #get<T>(path: string, { onMissing }: ListOptions = {}): Promise<T> {
    return this.#client.json({ method: 'GET', path, onMissing })
  }

  async #push(path: string, data: Data, options: PublishOptions): Promise<PublishCounts> {
    const { except, replace, ...rest } = options
    return this.#client.json({
      ...rest,
      method: 'POST',
      path: withQuery(path, { except, replace }),
      ...contentOf(data),
    })
  }
}

function batchElement(item: BatchItem): object {
  return { method: 'POST', path: batchPath(item), ...frameOf(item.data) }
}

function batchPath(item: BatchItem): string {
  if ('send' in item) return pathOf('connections', item.send)
  const path =
    'publish' in item ? pathOf('topics', item.publish) : 'user' in item ? pathOf('users', item.user) : '/broadcast'
  return withQuery(path, { except: item.except, replace: 'replace' in item ? item.replace : undefined })
}

function pathOf(...segments: string[]): string {
  return segments
    .map((segment) => {
      if (typeof segment !== 'string' || segment === '')
        throw new TypeError('an id and a name are strings that are not empty')
      return `/${encodeURIComponent(segment.toWellFormed())}`
    })
    .join('')
}

type Query = Record<string, string | number | boolean | undefined>

function parametersOf({ limit, cursor, showQuery, node, away }: Page): Query {
  return { limit, cursor, show: showQuery ? 'query' : undefined, node, away }
}

function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined)
  return pairs.length === 0
    ? path
    : `${path}?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join('&')}`
}
