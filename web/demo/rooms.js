/** The list of rooms. The hash of the URL names the current one, so a link leads into it. */

const MOST_CHARACTERS = 32

/** @param {string} text anything: "Tea Kitchen" becomes tea-kitchen */
export function roomNamed(text) {
  const room = text
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
  return [...room]
    .slice(0, MOST_CHARACTERS)
    .join('')
    .replace(/^-+|-+$/g, '')
}

export class Rooms {
  #list
  #known = ['lobby', 'tea-kitchen', 'night-owls']

  /** @param {{ list: HTMLElement, form: HTMLFormElement, field: HTMLInputElement }} elements */
  constructor({ list, form, field }) {
    this.#list = list
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const room = roomNamed(field.value)
      field.value = ''
      if (room) location.hash = room
    })
  }

  get current() {
    return roomNamed(decode(location.hash.slice(1))) || this.#known[0]
  }

  show() {
    if (!this.#known.includes(this.current)) this.#known.push(this.current)
    this.#list.replaceChildren(
      ...this.#known.map((room) => {
        const link = document.createElement('a')
        link.href = `#${room}`
        link.textContent = room
        if (room === this.current) link.setAttribute('aria-current', 'page')
        const item = document.createElement('li')
        item.append(link)
        return item
      }),
    )
    this.#list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }
}

/** A hash typed by hand may contain a lone percent sign, which cannot be decoded. */
function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
