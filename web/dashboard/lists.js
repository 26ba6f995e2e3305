/** The left side of the dashboard: a list of connections, topics or closed sockets, searched and sorted. */

import { $, setText } from './element.js'
import { count } from './format.js'
import { sorted } from './listing.js'
import { routeTo } from './route.js'
import { Table } from './table.js'
import { VIEWS } from './views.js'
import { Watch } from './watch.js'

const EVERY = 3_000

export class Lists {
  #views
  #view
  #name
  #needle = ''
  #node = ''
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
    this.#views.closes.table.order(1, true)
    this.#watch = new Watch({
      every: EVERY,
      ask: (signal) =>
        this.#views[this.#view].load(this.#needle, signal, (listing) => this.#take(listing, false), this.#node),
      show: (listing) => this.#take(listing, true),
    })
    $('search').addEventListener('input', () => this.#search())
    $('node').addEventListener('change', ({ target }) => {
      this.#node = target.value
      this.#restart()
    })
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
    $('node-by').hidden = !this.#views[view].isByNode
    this.#offerSorts()
    this.#restart()
  }

  /** Asks now for the list that is shown. */
  refresh() {
    this.#watch.start()
  }

  /** Whether the list that is shown counts all connections. */
  get countsConnections() {
    return this.#view === 'connections' && this.#listing?.node === ''
  }

  /** Fills the menu of nodes. A node that is gone and chosen stays in it. @param {import('./nodes.js').NodeList} list */
  offerNodes({ nodes }) {
    const names = new Map([['', 'all'], ...nodes.map(({ id, name }) => [id, `${name} (${id})`])])
    if (!names.has(this.#node)) names.set(this.#node, `${this.#node} (gone)`)
    const wanted = JSON.stringify([...names])
    if ($('node').dataset.names === wanted) return
    $('node').dataset.names = wanted
    $('node').replaceChildren(...[...names].map(([id, name]) => new Option(name, id)))
    $('node').value = this.#node
    this.#offerSorts()
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

  /** A new search shows each page that arrives. A list that is only refreshed is shown when it is complete. */
  #take(listing, isDone) {
    if (!isDone && this.#isDone && this.#listing?.needle === this.#needle && this.#listing.node === this.#node) return
    this.#isDone = isDone
    this.#listing = { ...listing, needle: this.#needle, node: this.#node }
    this.#draw()
  }

  #draw() {
    if (!this.#listing) return
    const { table, note } = this.#views[this.#view]
    const rows = sorted(this.#listing.rows, table.sortValue, table.sort.isDescending)
    const hidden = table.show(rows, this.#name)
    const about = note(this.#listing, this.#listing.needle, this.#isDone)
    setText($('list-note'), [about, this.#listing.missing].filter(Boolean).join('; '))
    setText($('more'), `Show more (${count(hidden)} hidden)`)
    $('more').hidden = hidden === 0
    if (this.#view !== 'closes' && !this.#listing.node) setText($(`${this.#view}-count`), count(this.#listing.count))
    this.#offerSorts()
  }

  /** Fills the menu that sorts on phones, where the table shows no head. */
  #offerSorts() {
    const { columns } = VIEWS[this.#view].table
    const { sort } = this.#views[this.#view].table
    const isClustered = 'cluster' in document.body.dataset
    const wanted = `${this.#view} ${isClustered}`
    if ($('sort').dataset.view !== wanted) {
      $('sort').dataset.view = wanted
      const options = columns.map(
        ({ name, isOfCluster }, i) => (!isOfCluster || isClustered) && new Option(name, String(i)),
      )
      $('sort').replaceChildren(...options.filter(Boolean))
    }
    $('sort').value = String(sort.column)
  }

  #sortBy(index) {
    const column = VIEWS[this.#view].table.columns[index]
    this.#views[this.#view].table.order(Number(index), Boolean(column.isNumber))
    this.#draw()
  }
}
