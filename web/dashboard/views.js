/** The lists that the dashboard has: their columns, how they are loaded, and the line above them. */

import { bytes } from '../shared/bytes.js'
import { explain } from '../shared/close-code.js'
import { ask } from './api.js'
import { askCloses } from './closed.js'
import { clock, count, duration } from './format.js'
import { contains, gather, KEPT } from './listing.js'

const CONNECTION_COLUMNS = [
  { name: 'Id', text: ({ id }) => id.slice(-8), value: ({ id }) => id, style: 'mono id' },
  { name: 'User', text: ({ user = '' }) => user, style: 'user' },
  { name: 'Address', text: ({ address }) => address, style: 'address' },
  { name: 'Path', text: ({ path }) => path, style: 'mono path' },
  { name: 'Topics', text: ({ topics }) => topics.join(', '), style: 'topics' },
  { name: 'Age', text: ({ age }) => duration(age), value: ({ age }) => age, isNumber: true, style: 'age' },
  { name: 'Idle', text: idleInWords, value: ({ idle }) => idle, isNumber: true, style: 'idle' },
  { name: 'In', text: ({ frames }) => count(frames.in), value: ({ frames }) => frames.in, isNumber: true, style: 'in' },
  {
    name: 'Out',
    text: ({ frames }) => count(frames.out),
    value: ({ frames }) => frames.out,
    isNumber: true,
    style: 'out',
  },
  {
    name: 'Outbox',
    text: ({ outbox }) => bytes(outbox),
    value: ({ outbox }) => outbox,
    isNumber: true,
    style: 'outbox',
  },
  { name: 'Node', text: ({ node = '' }) => node, isOfCluster: true, style: 'node' },
]

const TOPIC_COLUMNS = [
  { name: 'Topic', text: ({ topic }) => topic, style: 'topic' },
  {
    name: 'Members',
    text: (topic) => count(topic.count),
    value: (topic) => topic.count,
    isNumber: true,
    style: 'members-count',
  },
]

const CLOSE_COLUMNS = [
  { name: 'Id', text: ({ id }) => id.slice(-8), value: ({ id }) => id, style: 'mono id' },
  { name: 'Closed', text: ({ time }) => clock(time), value: ({ time }) => Date.parse(time), isNumber: true },
  { name: 'Code', text: codeInWords, value: ({ code }) => code, style: 'code' },
  { name: 'Cause', text: ({ cause }) => cause, style: 'cause' },
  { name: 'Reason', text: ({ reason }) => reason, style: 'reason' },
  { name: 'User', text: ({ user = '' }) => user, style: 'user' },
  { name: 'Address', text: ({ address }) => address, style: 'address' },
  { name: 'Path', text: ({ path }) => path, style: 'mono path' },
  {
    name: 'Open for',
    text: ({ duration: seconds }) => duration(seconds),
    value: (closed) => closed.duration,
    isNumber: true,
    style: 'age',
  },
]

/** How long the client sent nothing, or has been away: `away 12 s` */
function idleInWords({ idle, session }) {
  return session?.away === undefined ? duration(idle) : `away ${duration(session.away)}`
}

/** `1006 no close frame` */
function codeInWords({ code }) {
  return `${code} ${explain(code, { opened: true }).name}`
}

/**
 * By the name that they have in the address. `load` finds the rows that match a search; `note` is the line above the list.
 * A list that `isByNode` can be that of one node.
 */
export const VIEWS = {
  connections: {
    placeholder: 'Search id, user, address, path, topic',
    table: { columns: CONNECTION_COLUMNS, key: ({ id }) => id, label: 'Connections' },
    isByNode: true,
    load: gather,
    note: connectionsNote,
  },
  topics: {
    placeholder: 'Search topics',
    table: { columns: TOPIC_COLUMNS, key: ({ topic }) => topic, label: 'Topics' },
    load: gatherTopics,
    note: ({ rows, count: all }, needle) =>
      needle ? `${count(rows.length)} of ${count(all)} topics` : all === 0 ? 'No topic has subscribers.' : '',
  },
  closes: {
    placeholder: 'Search id, user, address, path, code, cause, reason',
    table: { columns: CLOSE_COLUMNS, key: ({ id }) => id, label: 'Closed connections' },
    load: gatherCloses,
    note: closesNote,
  },
}

/** The gateway keeps the last 1,000: `count` are those. */
async function gatherCloses(needle, signal) {
  const closes = await askCloses(signal)
  const rows = closes.filter(({ id, user = '', address, path, cause, reason, code }) =>
    contains([id, user, address, path, cause, reason, codeInWords({ code })], needle),
  )
  return { rows, count: closes.length, seen: closes.length, isCut: false }
}

async function gatherTopics(needle, signal) {
  const { topics, detail: missing } = await ask('topics', { signal })
  const wanted = needle.trim().toLowerCase()
  return {
    rows: topics.filter(({ topic }) => topic.toLowerCase().includes(wanted)),
    count: topics.length,
    seen: topics.length,
    isCut: false,
    missing,
  }
}

function connectionsNote({ rows, count: all, seen, isCut }, needle, isDone) {
  if (!isDone) return `Searching ${count(all)} connections: ${count(seen)} so far…`
  if (isCut) {
    return needle
      ? `More than ${count(KEPT)} of ${count(all)} connections match; the first by id are shown. Narrow the search.`
      : `The first ${count(KEPT)} of ${count(all)} connections by id. A search covers all of them.`
  }
  if (needle) return `${count(rows.length)} of ${count(all)} connections`
  return all === 0 ? 'Nobody is connected.' : ''
}

function closesNote({ rows, count: all }, needle) {
  if (needle) return `${count(rows.length)} of ${count(all)} closed connections`
  return all === 0 ? 'No connection has closed yet.' : 'The last 1,000 that closed.'
}
