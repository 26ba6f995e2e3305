/** A sortable table that is updated in place. Existing rows stay, so focus and selection stay too. */

import { h, setText } from './element.js'

const STEP = 100

/**
 * @template T
 * @typedef {object} Column
 * @property {string} name shown in the head
 * @property {(row: T) => string} text
 * @property {(row: T) => string | number} [value] the value to sort by; the text when it is missing
 * @property {boolean} [isNumber]
 * @property {boolean} [isOfCluster] hidden without a cluster
 * @property {string} [style] class of its cells
 */

function classOf({ isNumber, isOfCluster }, style) {
  return [isNumber && 'number', isOfCluster && 'of-cluster', style].filter(Boolean).join(' ') || undefined
}

/** @template T */
export class Table {
  #columns
  #key
  #route
  #rows = new Map() // elements by key
  #shown = STEP
  #body = h('tbody', { role: 'rowgroup' })
  #heads
  sort = { column: 0, isDescending: false }

  /**
   * @param {object} options
   * @param {Column<T>[]} options.columns the first one is the link
   * @param {(row: T) => string} options.key
   * @param {(key: string) => string} options.route where the link leads
   * @param {() => void} options.changed is called when the reader chose another order
   * @param {string} options.label
   */
  constructor({ columns, key, route, changed, label }) {
    this.#columns = columns
    this.#key = key
    this.#route = route
    this.#heads = columns.map((column, i) => {
      const button = h('button', { type: 'button', class: 'sorter' }, column.name)
      button.addEventListener('click', () => {
        this.order(i, this.sort.column === i ? !this.sort.isDescending : Boolean(column.isNumber))
        changed()
      })
      return h('th', { scope: 'col', role: 'columnheader', class: classOf(column) }, button)
    })
    const head = h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...this.#heads))
    this.element = h('table', { class: 'list', role: 'table', 'aria-label': label }, head, this.#body)
    this.#body.addEventListener('click', (event) => this.#follow(event))
  }

  /** @param {number} column @param {boolean} isDescending */
  order(column, isDescending) {
    this.sort = { column, isDescending }
    this.#heads.forEach((head, i) => {
      if (i === column) head.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    })
  }

  /** The value that rows are sorted by. @returns {(row: T) => string | number} */
  get sortValue() {
    const { value, text } = this.#columns[this.sort.column]
    return value ?? text
  }

  /** Shows only the first rows again: the list is a new one. */
  rewind() {
    this.#shown = STEP
  }

  showMore() {
    this.#shown += STEP
  }

  /**
   * @param {T[]} rows in order
   * @param {string} [current] the key of the row that is open
   * @returns {number} how many rows are not shown
   */
  show(rows, current) {
    const shown = rows.slice(0, this.#shown)
    const kept = new Map(shown.map((row) => [this.#key(row), this.#draw(row, this.#key(row) === current)]))
    this.#rows = kept
    let next = this.#body.firstChild
    for (const element of kept.values()) {
      if (element === next) next = next.nextSibling
      else this.#body.insertBefore(element, next)
    }
    while (next) {
      const after = next.nextSibling
      next.remove()
      next = after
    }
    return rows.length - shown.length
  }

  /** The link of a row, if it is shown. @param {string} key @returns {HTMLElement | undefined} */
  link(key) {
    return this.#rows.get(key)?.querySelector('a')
  }

  #draw(row, isCurrent) {
    const key = this.#key(row)
    const element = this.#rows.get(key) ?? this.#make(key)
    this.#columns.forEach(({ text }, i) => setText(element.cells[i].firstChild, text(row)))
    element.toggleAttribute('data-current', isCurrent)
    if (isCurrent) element.cells[0].firstChild.setAttribute('aria-current', 'true')
    else element.cells[0].firstChild.removeAttribute('aria-current')
    return element
  }

  #make(key) {
    return h(
      'tr',
      { role: 'row' },
      ...this.#columns.map((column, i) => {
        const inner = i === 0 ? h('a', { href: this.#route(key), title: key }) : h('bdi')
        return h('td', { role: 'cell', class: classOf(column, column.style), 'data-name': column.name }, inner)
      }),
    )
  }

  /** A click anywhere in a row follows its link, unless it ends a selection of text. */
  #follow(event) {
    const row = event.target.closest('tr')
    if (event.target.closest('a') || !row || String(getSelection()) !== '') return
    row.querySelector('a').click()
  }
}
