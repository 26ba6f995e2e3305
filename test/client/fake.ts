/** What a ReconnectingSocket stands on, in a test's hands: the time, the socket, the network. */
import assert from 'node:assert/strict'
import { ReconnectingSocket } from '../../web/client/reconnecting-socket.js'

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
  url: string
  protocols: unknown
  protocol = ''
  extensions = ''
  readyState = 0
  binaryType = ''
  bufferedAmount = 0
  sent: unknown[] = []
  closedWith: unknown[] | undefined
  onopen: () => void = () => {}
  onmessage: ((event: { data: unknown; origin: string }) => void) | null = () => {}
  onerror: (event: { error?: unknown }) => void = () => {}
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = () => {}

  constructor(url: string | URL, protocols?: unknown) {
    this.url = String(new URL(url))
    this.protocols = protocols
    FakeSocket.made.push(this)
  }

  send(data: unknown): void {
    this.sent.push(data)
  }

  close(code?: number, reason?: string): void {
    if (code === 1001) throw new DOMException('not allowed', 'InvalidAccessError')
    if (this.readyState === 3) return
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

/** The window of a page. */
export class FakeNetwork extends EventTarget {
  navigator = { onLine: true }
  document = { hidden: false }
}

type Url = ConstructorParameters<typeof ReconnectingSocket>[0]
type Options = NonNullable<ConstructorParameters<typeof ReconnectingSocket>[2]> & { url?: Url; protocols?: any }

/** A socket with everything around it in the test's hands. Each wait takes the whole ceiling unless `random` says less. */
export function build({ url = 'ws://host/', protocols, ...options }: Options = {}) {
  FakeSocket.made = []
  const clock = new Clock()
  const network = new FakeNetwork()
  const socket = new ReconnectingSocket(url, protocols, {
    WebSocket: FakeSocket,
    clock,
    network,
    random: () => 1,
    ...options,
  })
  const states: unknown[] = []
  const closes: unknown[] = []
  socket.addEventListener('state', ({ detail }) => states.push(detail))
  socket.addEventListener('close', ({ code, reason, wasClean }) => closes.push({ code, reason, wasClean }))
  return { socket, clock, network, states, closes }
}

/** The connection that was tried last. */
export const newest = (): FakeSocket => FakeSocket.made.at(-1) ?? assert.fail('no connection was tried')
