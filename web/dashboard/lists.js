/** The left side: all connections or all topics, searched and sorted. */

import { bytes } from '../shared/bytes.js'
import { counted } from '../shared/count.js'
import { ask } from './api.js'
import { $, setText } from './element.js'
import { count, duration } from './format.js'
import { gather, KEPT, sorted } from './listing.js'
import { routeTo } from './route.js'
import { Table } from './table.js'
import { Watch } from './watch.js'

const EVERY = 3_000

const CONNECTION_COLUMNS = [
  { name: 'Id', text: ({ id }) => id.slice(-8), value: ({ id }) => id, style: 'mono id' },
  { name: 'User', text: ({ user = '' }) => user, style: 'user' },
  { name: 'Address', text: ({ address }) => address, style: 'address' },
  { name: 'Path', text: ({ path }) => path, style: 'mono path' },
  { name: 'Topics', text: ({ topics }) => topics.join(', '), style: 'topics' },
  { name: 'Age', text: ({ age }) => duration(age), value: ({ age }) => age, isNumber: true, style: 'age' },
  { name: 'Idle', text: ({ idle }) => duration(idle), value: ({ idle }) => idle, isNumber: true, style: 'idle' },
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

const VIEWS = {
  connections: {
    placeholder: 'Search id, user, address, path, topic',
    table: { columns: CONNECTION_COLUMNS, key: ({ id }) => id, label: 'Connections' },
    load: gather,
    note: connectionsNote,
  },
  topics: {
    placeholder: 'Search topics',
    table: { columns: TOPIC_COLUMNS, key: ({ topic }) => topic, label: 'Topics' },
    load: gatherTopics,
    note: ({ rows, count: all }, needle) =>
      needle ? `${count(rows.length)} of ${counted(all, 'topic')}` : all === 0 ? 'No topic has subscribers.' : '',
  },
}

async function gatherTopics(needle, signal) {
  const { topics } = await ask('topics', { signal })
  const wanted = needle.trim().toLowerCase()
  return {
    rows: topics.filter(({ topic }) => topic.toLowerCase().includes(wanted)),
    count: topics.length,
    seen: topics.length,
    isCut: false,
  }
}

function connectionsNote({ rows, count: all, seen, isCut }, needle, isDone) {
  if (!isDone) return `Searching ${counted(all, 'connection')}: ${count(seen)} so far…`
  if (isCut) {
    return needle
      ? `More than ${count(KEPT)} of ${counted(all, 'connection')} match; the first by id are shown. Narrow the search.`
      : `The first ${count(KEPT)} of ${counted(all, 'connection')} by id. A search covers all of them.`
  }
  if (needle) return `${count(rows.length)} of ${counted(all, 'connection')}`
  return all === 0 ? 'Nobody is connected.' : ''
}

export class Lists {
  #views
  #view
  #name
  #needle = ''
  #listing
  #isDone = true
  #watch
  #typing

  constructor() {
    this.#views = Object.fromEntries(
      Object.entries(VIEWS).map(([view, of]) => [
        view,
        {
          ...of,
          table: new Table({ ...of.table, route: (key) => routeTo(view, key), changed: () => this.#draw() }),
        },
      ]),
    )
    this.#views.topics.table.order(1, true)
    this.#views.connections.table.order(5, true)
    this.#watch = new Watch({
      every: EVERY,
      ask: (signal) => this.#views[this.#view].load(this.#needle, signal, (listing) => this.#take(listing, false)),
      show: (listing) => this.#take(listing, true),
    })
    $('search').addEventListener('input', () => this.#search())
    $('sort').addEventListener('change', ({ target }) => this.#sortBy(target.value))
    $('more').addEventListener('click', () => {
      this.#views[this.#view].table.showMore()
      this.#draw()
    })
  }

  /** @param {import('./route.js').Route} route */
  show({ view, name }) {
    const before = this.#name
    this.#name = name
    if (view === this.#view) {
      this.#draw()
      if (name === undefined && before !== undefined) this.#views[view].table.link(before)?.focus()
      return
    }
    this.#view = view
    this.#listing = undefined
    this.#needle = $('search').value = ''
    $('search').placeholder = this.#views[view].placeholder
    $('list').replaceChildren(this.#views[view].table.element)
    for (const tab of $('tabs').children) {
      if (tab.dataset.view === view) tab.setAttribute('aria-current', 'page')
      else tab.removeAttribute('aria-current')
    }
    this.#offerSorts()
    this.#restart()
  }

  #search() {
    clearTimeout(this.#typing)
    this.#typing = setTimeout(() => {
      this.#needle = $('search').value.trim()
      this.#restart()
    }, 200)
  }

  #restart() {
    this.#views[this.#view].table.rewind()
    this.#watch.start()
  }

  /** A list that is fetched again is shown when it is complete; a new search shows each page that it finds. */
  #take(listing, isDone) {
    if (!isDone && this.#isDone && this.#listing?.needle === this.#needle) return
    this.#isDone = isDone
    this.#listing = { ...listing, needle: this.#needle }
    this.#draw()
  }

  #draw() {
    if (!this.#listing) return
    const { table, note } = this.#views[this.#view]
    const rows = sorted(this.#listing.rows, table.sortValue, table.sort.isDescending)
    const hidden = table.show(rows, this.#name)
    setText($('list-note'), note(this.#listing, this.#listing.needle, this.#isDone))
    setText($('more'), `Show more (${count(hidden)} hidden)`)
    $('more').hidden = hidden === 0
    setText($(`${this.#view}-count`), count(this.#listing.count))
    this.#offerSorts()
  }

  /** A menu for phones, where the table has no head. */
  #offerSorts() {
    const { columns } = VIEWS[this.#view].table
    const { sort } = this.#views[this.#view].table
    if ($('sort').dataset.view !== this.#view) {
      $('sort').dataset.view = this.#view
      $('sort').replaceChildren(...columns.map(({ name }, i) => new Option(name, String(i))))
    }
    $('sort').value = String(sort.column)
  }

  #sortBy(index) {
    const column = VIEWS[this.#view].table.columns[index]
    this.#views[this.#view].table.order(Number(index), Boolean(column.isNumber))
    this.#draw()
  }
}
