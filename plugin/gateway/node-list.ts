// What the control API reports about the nodes of a cluster.
import type { Traffic } from './connection-info.ts'

/** One gateway of a cluster. */
export interface NodeInfo {
  /** Begins the ids of its connections. */
  id: string
  /** NODE_NAME */
  name: string
  /** It is the node that answers. */
  is_own: boolean
  version: string
  /** RFC 3339 */
  started: string
  /** Of another node: when it last renewed its lease. */
  connections: number
  /** Seconds until its lease is over, if it is not renewed; null without a cluster, and before the first lease. */
  lease: number | null
  /**
   * Of this node: whether its link to Redis is up. Of another: whether it renewed its lease in time; null while this
   * node's own link is down. Null without a cluster.
   */
  is_up: boolean | null
}

/** A node's link to Redis. Counters began when the gateway started. */
export interface RedisLink {
  /** Requests to other nodes can be sent now. */
  is_up: boolean
  /** Why it is down. */
  reason?: string
  /** Seconds for which it has been down. */
  down?: number
  /** Seconds since Redis last confirmed the lease of this node; absent before the first time. */
  lease_age?: number
  /** Connections that replaced an earlier one. */
  reconnects: number
  /** Channels that this node is subscribed to. */
  subscriptions: number
  /** Messages of channels that came, and commands that were sent. */
  messages: Traffic
  bytes: Traffic
  /** Bytes of commands that wait to be sent. */
  waiting_bytes: number
  /** Bytes of messages published by answers that are kept until every node has them. */
  kept_bytes: number
  /** Requests to other nodes that are not finished. */
  in_flight: number
}

export interface NodeList {
  /** CLUSTER_NAME; null without REDIS_URL, as is `link`. */
  cluster: string | null
  link: RedisLink | null
  /** This node first, then the others in the order of their ids. */
  nodes: NodeInfo[]
}
