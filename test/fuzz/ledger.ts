/** What the handler saw of each event and what became of it, checked against the promises of docs/protocol.md. */

/** What the handler did with one delivery of an event. */
export type Fate =
  /** A whole answer went out. */
  | 'answered'
  /** An open was refused by a whole answer. */
  | 'refused'
  /** 503 with retry-after, or a batch that was refused as a whole: to be sent again. */
  | 'again'
  /** Received, and never answered as a whole. */
  | 'broken'
  /** An answer that may be understood or not. */
  | 'odd'

export type SeenEvent = {
  kind: 'open' | 'message' | 'alarm' | 'close'
  /** `ce-id`. */
  id: string
  connection: string
  path: string
  number: number
  contentType: string
  body: Buffer
}

type Deliveries = { event: SeenEvent; fates: Array<Fate | undefined>; cameAt: number[] }

const MAY_REPEAT: Record<SeenEvent['kind'], Fate[]> = {
  open: ['again'],
  message: ['again'],
  alarm: ['again', 'broken', 'odd'],
  close: ['again', 'broken', 'odd'],
}

export class Ledger {
  readonly #events = new Map<string, Deliveries>()
  readonly #sockets = new Map<string, SeenEvent[]>()
  readonly #breaches: string[] = []

  /** An event came. Returns what says how this delivery ended, once. */
  came(event: SeenEvent): (fate: Fate) => void {
    const known = this.#events.get(event.id)
    const socket = this.#sockets.get(event.connection) ?? []
    if (known) this.#checkRepeat(known)
    else this.#checkOrder(event, socket.at(-1))
    const deliveries = known ?? { event, fates: [], cameAt: [] }
    deliveries.cameAt.push(performance.now())
    const at = deliveries.fates.push(undefined) - 1
    this.#events.set(event.id, deliveries)
    this.#sockets.set(event.connection, known ? socket : [...socket, event])
    return (fate) => {
      deliveries.fates[at] ??= fate
    }
  }

  #checkRepeat({ event, fates }: Deliveries): void {
    const last = fates.at(-1)
    if (last === undefined) this.#breach(event, 'was sent again while its answer was still to come')
    else if (!MAY_REPEAT[event.kind].includes(last)) this.#breach(event, `was sent again after it was ${last}`)
  }

  #checkOrder(event: SeenEvent, before: SeenEvent | undefined): void {
    if (!before) return
    if (before.kind === 'close') return this.#breach(event, 'came behind the close event')
    if (event.kind !== 'close' && event.number <= before.number) this.#breach(event, `came behind ${before.number}`)
    const { fates, cameAt } = this.#events.get(before.id)!
    if (fates.at(-1) === undefined) {
      const ages = cameAt.map((at) => `${Math.round(performance.now() - at)} ms ago`)
      this.#breach(event, `came before ${before.number} was answered, which came ${ages.join(' and ')}`)
    }
  }

  #breach(event: SeenEvent, what: string): void {
    this.#breaches.push(`${event.kind} event ${event.id} (${event.path}) ${what}`)
  }

  /** Sockets whose close event is owed and was not answered. */
  owed(): string[] {
    return [...this.#sockets].flatMap(([connection, [first]]) => {
      const open = this.#events.get(first!.id)!
      const close = this.#events.get(`${connection}/close`)
      const isOwed = first!.kind === 'open' && ['answered', 'broken'].includes(open.fates.at(-1)!)
      const isDelivered = close?.fates.some((fate) => fate === 'answered' || fate === 'odd')
      return (isOwed || close) && !isDelivered ? [`${connection} (${first!.path})`] : []
    })
  }

  /** Everything that broke a promise, as lines. */
  breaches(): string[] {
    const unasked = [...this.#events.values()]
      .filter(({ event, fates }) => event.kind === 'open' && fates.at(-1) === 'refused')
      .filter(({ event }) => this.#events.has(`${event.connection}/close`))
      .map(({ event }) => `the socket ${event.connection} (${event.path}) was refused and has a close event`)
    return [...this.#breaches, ...unasked]
  }

  /** How many events came. */
  get count(): number {
    return this.#events.size
  }
}
