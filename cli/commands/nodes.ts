// The cluster in the command `status`: its nodes, and this node's link to Redis.
import type { NodeInfo, NodeList, RedisLink } from '../../plugin/gateway/gateway.ts'
import { duration } from './duration.ts'
import { counted, table } from './table.ts'

/** Rows for the list of `status`: none without a cluster. */
export function clusterRows({ cluster, link, nodes }: NodeList): Array<[string, string]> {
  if (cluster === null || link === null) return []
  return [
    ['cluster', `${cluster}, ${counted(nodes.length, 'node')}`],
    ['redis', link.is_up ? upLink(link) : downLink(link)],
  ]
}

function upLink(link: RedisLink): string {
  return [
    `the link to Redis is up, ${counted(link.reconnects, 'reconnect')}`,
    counted(link.subscriptions, 'subscription'),
    `${counted(link.in_flight, 'request')} in flight`,
  ].join(', ')
}

function downLink({ down = 0, reason }: RedisLink): string {
  return `THE LINK TO REDIS IS DOWN for ${duration(down)}: ${reason}`
}

/** A table of the nodes, or nothing without a cluster. */
export function nodeTable({ cluster, nodes }: NodeList): string {
  if (cluster === null) return ''
  return table(
    ['NODE', 'ID', 'AGE', 'SOCKETS', 'LEASE', 'LINK', 'VERSION'],
    nodes.map((node) => [
      `${node.name}${node.is_own ? ' (this one)' : ''}`,
      node.id,
      duration(Math.max(0, (Date.now() - Date.parse(node.started)) / 1000)),
      node.connections,
      node.lease === null ? 'none' : `${node.lease.toFixed(1)} s`,
      linkState(node),
      node.version,
    ]),
  )
}

/** What another node does is unknown while the own link is down. */
function linkState({ is_up: isUp }: NodeInfo): string {
  return isUp === null ? 'unknown' : isUp ? 'up' : 'DOWN'
}
