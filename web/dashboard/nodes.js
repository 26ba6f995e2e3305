/** The nodes of the cluster, and this node's link to Redis. Without a cluster nothing of it is shown. */

import { ask } from './api.js'
import { $, fillRows, setText } from './element.js'
import { count, duration } from './format.js'
import { Watch } from './watch.js'

const EVERY = 3_000

/**
 * @typedef {object} NodeList the answer of GET /nodes, described in docs/protocol.md
 */

/** @param {(list: NodeList) => void} changed is called with each answer @returns {Watch} */
export function watchNodes(changed) {
  return new Watch({
    every: EVERY,
    ask: (signal) => ask('nodes', { signal }),
    show(list) {
      show(list)
      changed(list)
    },
  })
}

function show({ cluster, link, nodes }) {
  document.body.toggleAttribute('data-cluster', cluster !== null)
  $('nodes').hidden = cluster === null
  if (cluster === null) return
  setText($('nodes-summary'), `${count(nodes.length)} in ${cluster}`)
  setText($('link-state'), link.is_up ? 'link up' : 'link down')
  $('link-state').dataset.state = link.is_up ? 'open' : 'failed'
  setText(
    $('link-line'),
    link.is_up
      ? `${count(link.subscriptions)} subscriptions, ${count(link.reconnects)} reconnects, ${count(link.in_flight)} requests in flight.`
      : `The link to Redis has been down for ${duration(link.down ?? 0)}: ${link.reason}.`,
  )
  fillRows($('nodes-rows'), nodes.map(rowOf))
}

function rowOf({ id, name, is_own: isOwn, version, started, connections, lease, is_up: isUp }) {
  return {
    key: id,
    cells: [
      [isOwn ? `${name} (this one)` : name],
      [id, 'mono'],
      [count(connections), 'number'],
      [duration(Math.max(0, (Date.now() - Date.parse(started)) / 1000)), 'number'],
      [lease === null ? 'none' : `${lease.toFixed(1)} s`, 'number'],
      [isUp === null ? 'unknown' : isUp ? 'up' : 'down'],
      [version],
    ],
    isMuted: isUp === false,
  }
}
