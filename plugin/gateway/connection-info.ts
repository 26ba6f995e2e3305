// What the control API reports about open sockets.

/** From clients, and to them. */
export interface Traffic {
  in: number
  out: number
}

/** Public description of an open socket. Times are seconds. */
export interface ConnectionInfo {
  id: string
  user?: string
  address: string
  path: string
  topics: string[]
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
}

/** Which page of a list: at most `limit` connections, after the page that returned `cursor`. */
export interface Page {
  limit?: number | undefined
  cursor?: string | undefined
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
