/** Fetches the list of connections page by page, searches it and sorts it. */

import { ask } from './api.js'

export const KEPT = 2000
const PAGE = 1000

/**
 * @typedef {object} Facts of a connection, as docs/protocol.md has them
 * @typedef {{ rows: Facts[], count: number, seen: number, isCut: boolean, missing?: string }} Listing
 *   rows: connections that match; count: all connections; seen: how many were searched so far; isCut: whether more may match;
 *   missing: why the list is not complete
 */

/**
 * The first connections that match, in the order of their ids. A search reads all pages; without one, a page or two is enough.
 * @param {string} needle
 * @param {AbortSignal} signal
 * @param {(listing: Listing) => void} progress is called after each page but the last
 * @param {string} node id of the node whose connections are listed; empty for all
 * @returns {Promise<Listing>}
 */
export async function gather(needle, signal, progress, node) {
  const rows = []
  let seen = 0
  let cursor
  for (;;) {
    const page = await ask(
      `connections?${new URLSearchParams({ limit: PAGE, ...(cursor && { cursor }), ...(node && { node }) })}`,
      {
        signal,
      },
    )
    rows.push(...page.connections.filter((facts) => fits(facts, needle)))
    seen += page.connections.length
    cursor = page.cursor
    const isFull = rows.length >= KEPT
    const listing = {
      rows: rows.slice(0, KEPT),
      count: page.count,
      seen,
      missing: page.detail,
      isCut: rows.length > KEPT || (isFull && cursor !== undefined),
    }
    if (isFull || cursor === undefined) return listing
    progress(listing)
  }
}

/**
 * Whether id, user, address, path, node or topics contain a text. `away` finds the sockets whose clients are away.
 * @param {Facts} facts
 * @param {string} needle
 */
export function fits({ id, user = '', address, path, node = '', topics, session }, needle) {
  const state = session?.away === undefined ? '' : 'away'
  return contains([id, user, address, path, node, state, ...topics], needle)
}

/** Whether one of the texts contains another; upper and lower case are the same. @param {string[]} texts @param {string} needle */
export function contains(texts, needle) {
  const wanted = needle.trim().toLowerCase()
  return wanted === '' || texts.some((text) => text.toLowerCase().includes(wanted))
}

const collator = new Intl.Collator(undefined, { numeric: true })

/**
 * @template T
 * @param {T[]} rows
 * @param {(row: T) => string | number} value
 * @param {boolean} isDescending
 * @returns {T[]} a new list; equals stay in their order
 */
export function sorted(rows, value, isDescending) {
  const sign = isDescending ? -1 : 1
  return rows
    .map((row) => ({ row, key: value(row) }))
    .sort((a, b) => sign * (typeof a.key === 'number' ? a.key - b.key : collator.compare(a.key, b.key)))
    .map(({ row }) => row)
}
