// What the control API reports about the gateway itself.
import type { Traffic } from './connection-info.ts'

export interface WorkerStatus {
  name: string
  pid: number
  configuration: number
  /** It is shutting down after a reload, and serves the sockets it has. */
  is_leaving: boolean
  connections: number
  /** Bytes it occupies; what workers share is counted for each. */
  memory: number
  lua_memory: number
  /** Connections to the handler. */
  lanes: number
  /** Events that wait for a lane, or to be sent again. */
  waiting: number
}

export type HandlerStatus = {
  name: string
  /** Whether the last request was answered; null before the first. */
  is_up: boolean | null
  /** Events that have ended, and those of them that it has not answered. */
  events: number
  failures: number
  /** Connections to it. */
  lanes: number
  /** Events that wait for a lane, or to be sent again. */
  waiting: number
}

/** The gateway in a few numbers. Memory is bytes, `uptime` seconds, points in time are RFC 3339. */
export interface GatewayStatus {
  node: string
  version: string
  started: string
  uptime: number
  /** The number of the configuration that runs; a reload raises it. */
  configuration: number
  loaded: string
  connections: number
  /** Sockets whose clients are away and may come back, and the bytes that wait for them. `connections` counts them too. */
  sessions: { away: number; bytes: number }
  /** The timers of TIMERS; `period` in seconds. */
  timers: Array<{ path: string; period: number }>
  /** Links between workers that are missing now, counted at both ends. */
  missing_links: number
  workers: WorkerStatus[]
  /** Living workers that did not answer within 5 s. All other members but the counts lack what they hold. */
  silent_workers: Array<Pick<WorkerStatus, 'name' | 'pid' | 'is_leaving'>>
  frames: Traffic
  /** Payload of the frames. */
  bytes: Traffic
  /** Messages in locations with `$ws_cache`: answered from the cache, sent to the handler, waited for an equal one. */
  cache: { hits: number; misses: number; waits: number }
  pushes: { requests: number; delivered: number; dropped: number }
  handler: {
    /** Whether the last event that ended was answered; null before the first. */
    is_up: boolean | null
    /** Events that have ended, and those of them that no handler has answered. */
    events: number
    failures: number
    /** Seconds; each bucket holds how many events took at most so long. */
    latency: { sum: number; count: number; buckets: Array<[bound: number | '+Inf', count: number]> }
  }
  /** Each handler: first that of HANDLER_URL, `default`, then those of locations, named by their URLs. */
  handlers: HandlerStatus[]
}
