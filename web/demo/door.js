/** The form where a visitor chooses a name. The browser remembers the name; a tab that was in the chat skips the form. */

import { paint } from './avatar.js'

const KEY = 'framegate-chat-name'
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u

export class Door {
  #elements
  #enter

  /**
   * @param {{ door: HTMLElement, face: HTMLElement, form: HTMLFormElement, name: HTMLInputElement, problem: HTMLElement }} elements
   * @param {(name: string) => void} enter
   */
  constructor(elements, enter) {
    this.#elements = elements
    this.#enter = enter
    elements.name.value = storage('localStorage')?.getItem(KEY) ?? ''
    elements.form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#submit(elements.name.value.trim())
    })
    elements.name.addEventListener('input', () => this.#show(''))
  }

  /** The name of the visitor who is already in the chat, in this tab. */
  get visitor() {
    return storage('sessionStorage')?.getItem(KEY) ?? undefined
  }

  /** @param {string} [problem] what is wrong with the name */
  open(problem = '') {
    storage('sessionStorage')?.removeItem(KEY)
    this.#elements.door.hidden = false
    this.#show(problem)
    this.#elements.name.focus()
    this.#elements.name.select()
  }

  close() {
    this.#elements.door.hidden = true
  }

  #submit(name) {
    if (!VISIBLE.test(name))
      return this.open(name ? 'Please choose a name that others can see.' : 'Please choose a name first.')
    storage('localStorage')?.setItem(KEY, name)
    storage('sessionStorage')?.setItem(KEY, name)
    this.close()
    this.#enter(name)
  }

  #show(problem) {
    const { name, face, problem: words } = this.#elements
    words.textContent = problem
    name.setAttribute('aria-invalid', String(problem !== ''))
    paint(face, name.value)
  }
}

/** A browser that blocks storage for this site throws. */
function storage(kind) {
  try {
    return window[kind]
  } catch {
    return undefined
  }
}
