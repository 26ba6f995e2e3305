/** What a ReconnectingSocket stands on, in a test's hands: the time, the socket, the network. */

/** Timers that fire when a test moves the clock. */
export class Clock {
  #now = 0
  #timers = new Map<number, { at: number; then: () => void }>()
  #last = 0

  setTimeout = (then: () => void, ms: number): number => {
    this.#last += 1
    this.#timers.set(this.#last, { at: this.#now + ms, then })
    return this.#last
  }

  clearTimeout = (timer: number): void => {
    this.#timers.delete(timer)
  }

  get pending(): number {
    return this.#timers.size
  }

  advance(ms: number): void {
    this.#now += ms
    for (const [timer, { at, then }] of this.#timers) {
      if (at > this.#now) continue
      this.#timers.delete(timer)
      then()
    }
  }
}

/** The half of a WebSocket that the class under test uses, and the server's moves. */
export class FakeSocket {
  static made: FakeSocket[] = []
  readyState = 0
  binaryType = ''
  bufferedAmount = 0
  sent: unknown[] = []
  closedWith: unknown[] | undefined
  onopen: () => void = () => {}
  onmessage: ((event: { data: unknown; origin: string }) => void) | null = () => {}
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = () => {}

  constructor() {
    FakeSocket.made.push(this)
  }

  send(data: unknown): void {
    this.sent.push(data)
  }

  close(code?: number, reason?: string): void {
    if (code === 1001) throw new DOMException('not allowed', 'InvalidAccessError')
    this.readyState = 2
    this.closedWith = [code, reason]
  }

  opens(): void {
    this.readyState = 1
    this.onopen()
  }

  receives(data: unknown): void {
    this.onmessage?.({ data, origin: 'ws://host' })
  }

  ends(code: number, reason = ''): void {
    this.readyState = 3
    this.onclose?.({ code, reason, wasClean: code !== 1006 })
  }
}

export class FakeNetwork extends EventTarget {
  navigator = { onLine: true }
}
