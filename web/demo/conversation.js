/** The list of messages, oldest first. It follows its end. While the reader is further up, a button leads back down. */

import { avatar, hueOf } from './avatar.js'

const LIMIT = 500
const SAME_BREATH = 3 * 60_000 // messages of one person within this time are shown as a group
const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })

/**
 * @typedef {object} Message
 * @property {string} name
 * @property {string} text
 * @property {string} [time] RFC 3339; now when it is missing
 * @property {string} [ref] the sender's name for it
 * @property {boolean} own
 */
export class Conversation {
  #view
  #list
  #jump

  /** @param {{ view: HTMLElement, list: HTMLElement, jump: HTMLElement }} elements the scrolling box, the list in it, the button that leads down */
  constructor({ view, list, jump }) {
    this.#view = view
    this.#list = list
    this.#jump = jump
    view.addEventListener('scroll', () => {
      if (this.#isAtEnd()) jump.hidden = true
    })
    jump.addEventListener('click', () => this.#toEnd())
    new ResizeObserver(() => {
      if (jump.hidden) this.#toEnd()
    }).observe(view)
  }

  clear() {
    this.#list.replaceChildren()
    this.#jump.hidden = true
  }

  /** Adds a line about something that happened. @param {string} text @param {'notice' | 'announcement'} [kind] */
  notice(text, kind = 'notice') {
    const item = element('li', kind)
    item.append(element('span', 'notice-text', text))
    this.#add(item)
  }

  /** @param {Message} message @param {{ pending?: boolean }} [options] pending: the server has not confirmed it yet */
  message(message, { pending = false } = {}) {
    const known = this.#find(message)
    if (known && !pending && known.classList.contains('pending')) known.remove()
    else if (known) return // It was sent again after a connection broke.
    const item = render(message)
    item.classList.toggle('pending', pending)
    this.#add(item, message.own)
  }

  /** Removes a message that the server rejected. */
  drop(message) {
    this.#find(message)?.remove()
  }

  #find({ name, ref }) {
    if (ref === undefined) return undefined
    return [...this.#list.children].find(({ dataset }) => dataset.ref === ref && dataset.name === name)
  }

  // Messages that wait for their confirmation stay last.
  #add(item, own = false) {
    const follow = own || this.#isAtEnd()
    const pending = item.classList.contains('pending') ? null : this.#list.querySelector('.pending')
    this.#list.insertBefore(item, pending)
    while (this.#list.childElementCount > LIMIT) this.#list.firstElementChild.remove()
    for (const each of [item, pending])
      each?.classList.toggle('continued', continues(each.previousElementSibling, each))
    if (follow) this.#toEnd()
    else this.#jump.hidden = false
  }

  #isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view
    return scrollHeight - clientHeight - scrollTop < 48
  }

  #toEnd() {
    this.#jump.hidden = true
    this.#view.scrollTop = this.#view.scrollHeight
  }
}

function continues(before, item) {
  return (
    before?.dataset.name !== undefined &&
    before.dataset.name === item.dataset.name &&
    Date.parse(item.dataset.time) - Date.parse(before.dataset.time) < SAME_BREATH
  )
}

function render({ name, text, time = new Date().toISOString(), ref, own }) {
  const item = element('li', own ? 'message own' : 'message')
  Object.assign(item.dataset, { name, time }, ref !== undefined && { ref })
  const author = element('p', own ? 'author visually-hidden' : 'author')
  author.style.setProperty('--hue', String(hueOf(name)))
  author.append(element('bdi', '', own ? 'You' : name))
  const stamp = element('time', 'stamp', clock.format(new Date(time)))
  stamp.dateTime = time
  const words = element('p', 'words', text)
  words.dir = 'auto'
  const bubble = element('div', 'bubble')
  bubble.append(author, words, stamp)
  if (!own) item.append(avatar(name))
  item.append(bubble)
  return item
}

function element(name, className, text = '') {
  const node = document.createElement(name)
  node.className = className
  node.textContent = text
  return node
}
