/**
 * The people in a room. A person is a name, and each of their tabs is a connection. A person has left when their last tab
 * has been gone for a moment: a page that is reloaded leaves and joins again, which is no news for the others.
 *
 * @typedef {object} Options
 * @property {(name: string) => void} joined somebody arrived who was not here before
 * @property {(name: string) => void} left somebody left and did not return in time
 * @property {() => void} changed the list must be drawn again
 * @property {number} [grace] how long a person must be gone to have left, ms (4000)
 * @property {{ setTimeout: (then: () => void, ms: number) => any, clearTimeout: (timer: any) => void }} [clock] for tests
 */
export class People {
  #options
  #names = new Map() // by connection id
  #gone = new Set() // ids are never used again, but a list may arrive after a leave that it does not know of
  #leaving = new Map() // name to timer

  /** @param {Options} options */
  constructor(options) {
    this.#options = { grace: 4000, clock: globalThis, ...options }
  }

  /** Everybody, sorted by name. `here` is false for those who may have left. */
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
   * Adds a connection. `news` is whether it has just joined: one that is first seen when it speaks was here before.
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

  /** The visitor's own connection is lost. Until the next list arrives, nobody knows who is here. */
  lose() {
    for (const name of new Set(this.#names.values())) this.#leaving.set(name, undefined)
    this.#names.clear()
    this.#options.changed()
  }

  /**
   * Takes the list that comes with a new connection. Those in it were here before, so they are no news.
   * @param {{ id: string, name: string }[]} list
   */
  welcome(list) {
    for (const { id, name } of list) {
      if (this.#gone.has(id)) continue
      this.#stays(name)
      this.#names.set(id, name)
    }
    // These were here before the connection was lost, and are not in the list.
    for (const [name, timer] of this.#leaving) if (timer === undefined) this.#leaves(name)
    this.#options.changed()
  }

  /** The visitor left the room: reports nothing about these people any more. */
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
