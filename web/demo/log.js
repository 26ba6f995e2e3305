/** The console's log, oldest entry first. It keeps a limited number of entries, and follows its end unless the reader is further up. */

import { counted } from '../shared/count.js'

const LIMIT = 500

/**
 * @typedef {object} Entry
 * @property {'sent' | 'received' | 'note' | 'closed'} direction
 * @property {string} title
 * @property {string} [type] details beside the title
 * @property {string} [frame] preview of a frame, shown in a fixed-width font
 * @property {string} [text] a sentence for people
 * @property {boolean} [failed] whether to mark it as an error
 */
export class Log {
  #view
  #list
  #total
  #waiting = []
  #dropped = 0

  /** @param {{ view: Element, list: Element, total: Element }} elements the scrolling box, the list in it, and where the count goes */
  constructor({ view, list, total }) {
    this.#view = view
    this.#list = list
    this.#total = total
    this.#count()
  }

  /**
   * Adds an entry. All that arrive within one animation frame are drawn together: a flood must not freeze the page.
   * @param {Entry} entry
   */
  add(entry) {
    if (this.#waiting.length === 0) requestAnimationFrame(() => this.#draw())
    this.#waiting.push({ ...entry, time: new Date() })
    if (this.#waiting.length > LIMIT) {
      this.#waiting.shift()
      this.#dropped += 1
    }
  }

  clear() {
    this.#list.replaceChildren()
    this.#dropped = 0
    this.#count()
  }

  #draw() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view
    const following = scrollHeight - clientHeight - scrollTop < 40
    this.#list.append(...this.#waiting.splice(0).map(render))
    while (this.#list.childElementCount > LIMIT) {
      this.#list.firstElementChild.remove()
      this.#dropped += 1
    }
    this.#count()
    if (following) this.#view.scrollTop = this.#view.scrollHeight
  }

  #count() {
    const dropped = this.#dropped > 0 ? `, ${counted(this.#dropped, 'older one')} removed` : ''
    this.#total.textContent = counted(this.#list.childElementCount, 'entry', 'entries') + dropped
  }
}

function render({ direction, title, type, frame, text, failed, time }) {
  const item = element('li', 'entry')
  item.dataset.direction = direction
  item.classList.toggle('failed', Boolean(failed))
  const head = element('p', 'entry-head')
  const clock = element('time', 'entry-time', localTime(time))
  clock.dateTime = time.toISOString()
  head.append(element('strong', 'entry-title', title), element('span', 'entry-type', type), clock)
  item.append(head)
  if (frame) item.append(element('pre', 'entry-frame', frame))
  if (text) item.append(element('p', 'entry-text', text))
  return item
}

function element(name, className, text = '') {
  const node = document.createElement(name)
  node.className = className
  node.textContent = text
  return node
}

/** @param {Date} time */
function localTime(time) {
  return time.toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
  })
}
