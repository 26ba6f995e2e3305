// What the control API reports about open and closed sockets.

/** From clients, and to them. */
export interface Traffic {
  in: number
  out: number
}

/** What makes a socket outlive its connections. */
export interface SessionInfo {
  /** Seconds for which it is kept while its client is away. */
  keep: number
  /** Seconds for which its client has been away; absent while it is there. */
  away?: number
  /** Bytes that were sent and that the client has not confirmed. */
  unacknowledged: number
}

/** Public description of an open socket. Times are seconds. */
export interface ConnectionInfo {
  id: string
  user?: string
  address: string
  /** Of the handshake, in printable ASCII; without its query unless that was asked for. */
  path: string
  /** How the client connected, if not with a WebSocket. */
  transport?: 'sse'
  /** The extension that compresses its messages now; absent for one that has not negotiated it, or whose client is away. */
  compression?: 'permessage-deflate'
  topics: string[]
  /** The NODE_NAME of the node that holds it; only in a cluster. */
  node?: string
  /** RFC 3339 */
  opened: string
  age: number
  idle: number
  /** Bytes that wait to be sent. */
  outbox: number
  /** Messages. */
  frames: Traffic
  /** Payload of the messages. */
  bytes: Traffic
  /** Absent where the socket ends with its connection. */
  session?: SessionInfo
  /** Until its alarm is due, rounded up; absent without one. */
  alarm?: number
}

/** Public description of a socket that closed. Foreign texts are shortened when they are long. */
export interface ClosedConnection {
  /** When it closed; RFC 3339 */
  time: string
  id: string
  user?: string
  address: string
  /** Of the handshake, without its query. */
  path: string
  /** 1006 when no close frame came. */
  code: number
  reason: string
  /** Who or what ended it, as in the metric framegate_sockets_closed_total. */
  cause: string
  /** Seconds that it was open. */
  duration: number
  /** Messages; absent when its worker was killed, as are `bytes`. */
  frames?: Traffic
  /** Payload of the messages. */
  bytes?: Traffic
}

/** How a list is read. */
export interface ListOptions {
  /**
   * Accepts a list that lacks what a worker or a node holds that did not answer, and is called with the reason. Without
   * this, such a list is an error with status 504.
   */
  onMissing?: ((reason: string) => void) | undefined
}

/** Which page of a list: at most `limit` connections, after the page that returned `cursor`. */
export interface Page extends ListOptions {
  limit?: number | undefined
  cursor?: string | undefined
  /** Shows paths with their queries, which may hold tokens. */
  showQuery?: boolean | undefined
  /** The name or the id of a node: only its connections. */
  node?: string | undefined
  /** Only sessions whose clients are away, or only the other connections. */
  away?: boolean | undefined
}

export interface ConnectionPage {
  connections: ConnectionInfo[]
  /** How many there are on all pages. */
  count: number
  /** Begins the next page; absent on the last. */
  cursor?: string
}

export interface TopicCount {
  topic: string
  count: number
}

export interface TopicPage extends ConnectionPage {
  topic: string
}
