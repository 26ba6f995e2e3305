/**
 * Who is in a room. A person is a name; each of their tabs is a connection. A person has left when the last of their tabs
 * has been gone for a moment: a page that is loaded again leaves and joins, and nobody need hear of it.
 *
 * @typedef {object} Options
 * @property {(name: string) => void} joined somebody came who was not here
 * @property {(name: string) => void} left somebody went, and did not come back in time
 * @property {() => void} changed the list is to be drawn again
 * @property {number} [grace] how long it takes to have left, ms (4000)
 * @property {{ setTimeout: (then: () => void, ms: number) => any, clearTimeout: (timer: any) => void }} [clock] for tests
 */
export class People {
  #options
  #names = new Map() // by connection id
  #gone = new Set() // ids never come back: a list that was made before a leave may arrive after it
  #leaving = new Map() // name to timer

  /** @param {Options} options */
  constructor(options) {
    this.#options = { grace: 4000, clock: globalThis, ...options }
  }

  /** Everybody, by name; `here` is false for those who may have left. */
  get list() {
    const names = new Set([...this.#names.values(), ...this.#leaving.keys()])
    return [...names]
      .sort((a, b) => a.localeCompare(b))
      .map((name) => ({ name, here: !this.#leaving.has(name), tabs: this.#tabs(name) }))
  }

  has(name) {
    return this.#tabs(name) > 0
  }

  /**
   * A connection that was announced. One that spoke was here before if it was not known: that is no news.
   * @param {{ id: string, name: string }} connection
   */
  add({ id, name }, { news = true } = {}) {
    if (this.#gone.has(id) || this.#names.get(id) === name) return
    const known = this.#stays(name)
    this.#names.set(id, name)
    if (news && !known) this.#options.joined(name)
    this.#options.changed()
  }

  /** @param {{ id: string }} connection */
  remove({ id }) {
    this.#gone.add(id)
    const name = this.#names.get(id)
    if (name === undefined) return
    this.#names.delete(id)
    if (!this.has(name)) this.#leaves(name)
    this.#options.changed()
  }

  /** The own connection is lost: nobody is known to be here any more, until there is a new list. */
  lose() {
    for (const name of new Set(this.#names.values())) this.#leaving.set(name, undefined)
    this.#names.clear()
    this.#options.changed()
  }

  /**
   * The list that came with a new connection. Who is in it was here before, so that is no news.
   * @param {{ id: string, name: string }[]} list
   */
  welcome(list) {
    for (const { id, name } of list) {
      if (this.#gone.has(id)) continue
      this.#stays(name)
      this.#names.set(id, name)
    }
    // Who was here before the connection was lost, and is not in the list.
    for (const [name, timer] of this.#leaving) if (timer === undefined) this.#leaves(name)
    this.#options.changed()
  }

  /** Nobody wants to hear of these people any more. */
  forget() {
    for (const timer of this.#leaving.values()) this.#options.clock.clearTimeout(timer)
    this.#leaving.clear()
    this.#names.clear()
  }

  #tabs(name) {
    return [...this.#names.values()].filter((other) => other === name).length
  }

  #stays(name) {
    const known = this.has(name) || this.#leaving.has(name)
    this.#options.clock.clearTimeout(this.#leaving.get(name))
    this.#leaving.delete(name)
    return known
  }

  #leaves(name) {
    const { clock, grace } = this.#options
    this.#leaving.set(
      name,
      clock.setTimeout(() => {
        this.#leaving.delete(name)
        this.#options.left(name)
        this.#options.changed()
      }, grace),
    )
  }
}
