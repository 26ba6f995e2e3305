/**
 * Clients of sessions that come back again and again, and publishers that never stop: what is lost or comes twice is noted.
 * A traveller ends each connection itself, after some frames.
 */
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import type { Random } from '../fuzz/random.ts'
import type { Gateway } from './gateway.ts'
import { SessionClient } from './session-client.ts'
import { control } from './topic-gateway.ts'

const REDIAL_MS = 20

/** What was published to each topic: numbers from 1. */
export class Publications {
  readonly last: Record<string, number> = {}
  /** Those whose request was not answered with 200: they may have reached nobody, or some. */
  readonly unsure = new Set<string>()
  #isStopped = false
  #running: Promise<void>[] = []

  begin(gateway: () => Gateway, topic: string): void {
    this.last[topic] = 0
    const run = async (): Promise<void> => {
      while (!this.#isStopped) {
        const text = `${topic} ${++this.last[topic]!}`
        const status = await control(gateway(), 'POST', `/topics/${topic}`, text).then(
          (answer) => answer.status,
          () => 0,
        )
        if (status !== 200) {
          this.unsure.add(text)
          await pause(REDIAL_MS)
        }
        await turn()
      }
    }
    this.#running.push(run())
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#running)
  }
}

export class Traveller {
  /** What came twice, out of order or not at all. */
  readonly faults: string[] = []
  /** Gaps, which the death of a worker with a link to Redis may cost. */
  readonly gaps: string[] = []
  /** The ids of its sockets, one after the other. */
  readonly ids: string[] = []
  returns = 0
  readonly client: SessionClient
  readonly #publications: Publications
  readonly #random: Random
  #last: Record<string, number> = {}
  #late = new Set<string>()
  #hasId = false
  #isStopped = false

  constructor(path: string, port: number, publications: Publications, random: Random) {
    this.client = new SessionClient(port, path)
    this.#publications = publications
    this.#random = random
  }

  /** Opens its first socket. */
  async open(): Promise<void> {
    await this.#dial()
    this.client.cut()
  }

  /** Travels until `stop`. `port` gives the next port. */
  async run(port: () => number): Promise<void> {
    while (!this.#isStopped) {
      this.client.port = port()
      if (await this.#dial()) await this.#take(this.#random.int(1, 6))
      this.client.cut()
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  /**
   * Comes back for the last time, and reads on until it has the last publication of each topic, or a later one. It stays
   * connected. The publishers go on meanwhile: with the worker that has the link to Redis, the last ones may be lost.
   */
  async arrive(topics: string[], ms = 20_000): Promise<void> {
    const deadline = Date.now() + ms
    const wanted = { ...this.#publications.last }
    const isLate = (topic: string): boolean => (this.#last[topic] ?? Number.POSITIVE_INFINITY) < wanted[topic]!
    while (this.client.isAway || !this.#hasId || topics.some(isLate)) {
      if (Date.now() > deadline) {
        const missing = topics.map((topic) => `${topic} ${this.#last[topic]} of ${wanted[topic]}`)
        this.faults.push(`nothing came any more: ${missing}`)
        return
      }
      if (this.client.isAway) await this.#dial()
      else if (!(await this.#take(1, 2000))) this.client.cut()
    }
  }

  /** Whether only unsure ones are between two numbers. */
  #isComplete(topic: string, before: number, next: number): boolean {
    for (let number = before + 1; number < next; number++) {
      if (!this.#publications.unsure.has(`${topic} ${number}`)) return false
    }
    return true
  }

  async #dial(): Promise<boolean> {
    try {
      await this.client.dial()
    } catch {
      this.client.cut()
      await pause(REDIAL_MS)
      return false
    }
    if (this.client.first.resumed) this.returns++
    else {
      this.#hasId = false
      this.#last = {}
      this.#late = new Set()
    }
    return true
  }

  async #take(count: number, ms = 3000): Promise<boolean> {
    for (let i = 0; i < count; i++) {
      const text = await this.client.next(ms).catch(() => undefined)
      if (text === undefined) return false
      this.#note(text)
    }
    return true
  }

  #note(text: string): void {
    const [topic, rest] = text.split(' ') as [string, string]
    if (topic === 'id') {
      this.#hasId = true
      return void this.ids.push(rest)
    }
    if (topic === 'user') return
    const number = Number(rest)
    const last = this.#last[topic]
    // One whose publisher got no answer may come after later ones, but not twice.
    if (this.#publications.unsure.has(text)) {
      if (this.#late.has(text)) this.faults.push(`${text} came twice (${this.ids.at(-1)})`)
      this.#late.add(text)
      if (last !== undefined && number <= last) return
    }
    if (last !== undefined && number <= last) this.faults.push(`${text} came after ${last} (${this.ids.at(-1)})`)
    else if (last !== undefined && !this.#isComplete(topic, last, number)) {
      this.gaps.push(`${text} came after ${last} (${this.ids.at(-1)})`)
    }
    this.#last[topic] = number
  }
}
