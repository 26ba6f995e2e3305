// @ts-check
/**
 * ReconnectingSocket: a WebSocket that dials again when its connection ends (docs/client.md). The npm package exports it as
 * framegate/client, and the pages of the demo load these files as they are.
 *   const socket = new ReconnectingSocket('wss://example.com/ws/chat')
 *   socket.onmessage = (event) => show(event.data)
 *   socket.addEventListener('state', ({ detail }) => paint(detail.state, detail.delay))
 */
import { Answers } from './answers.js'
import { checkClose } from './close-arguments.js'
import { Delays } from './delays.js'
import { Kept, sizeOf } from './kept.js'
import { withDefaults } from './settings.js'
import { CLOSED, CLOSING, CONNECTING, OPEN, SocketTarget } from './socket-target.js'

export { worthRetrying } from './settings.js'

/** @import { Data, End, EventMap, Options, Protocols, State, StateDetail, Transport } from './interface.js' */

/** @type {Record<State, 0 | 1 | 2 | 3>} */
const READY_STATE = { connecting: CONNECTING, waiting: CONNECTING, open: OPEN, closing: CLOSING, closed: CLOSED }

export class ReconnectingSocket extends SocketTarget {
  #url
  #protocols
  #settings
  #delays
  #kept
  #answers
  /** @type {Transport | undefined} the newest connection, perhaps an ended one */ #transport
  /** @type {State} */ #state = 'closed'
  /** @type {'blob' | 'arraybuffer'} */ #binaryType = 'blob'
  #dial = 0 // a new number when a dial begins and when a connection ends: what an earlier one still does is ignored
  #isLive = false // the transport's end is still to come
  #wasOpen = false
  #discarded = 0
  /** @type {any} */ #timer

  #wake = (/** @type {Event} */ { type }) => {
    if (type === 'online' || !this.#settings.network.document?.hidden) this.connect()
  }
  #offline = () => this.#fail(new Error('the browser is offline'))

  /**
   * @param {string | URL | (() => string | URL | Promise<string | URL>)} url a function is called for each dial
   * @param {Protocols | (() => Protocols | Promise<Protocols>)} [protocols]
   * @param {Options} [options]
   * @throws {DOMException} what WebSocket throws, such as SyntaxError, unless url or protocols is a function
   */
  constructor(url, protocols = [], options = {}) {
    super()
    this.#url = url
    this.#protocols = protocols
    const settings = withDefaults(options)
    this.#settings = settings
    this.#delays = new Delays(settings)
    this.#kept = new Kept(settings.keep)
    this.#answers = new Answers({ ...settings, lose: (reason) => this.#fail(new Error(reason)) })
    this.connect()
  }

  get state() {
    return this.#state
  }

  /** CONNECTING while it waits for the next dial, too. */
  get readyState() {
    return READY_STATE[this.#state]
  }

  get url() {
    return this.#transport?.url ?? ''
  }

  get protocol() {
    return this.#transport?.protocol ?? ''
  }

  get extensions() {
    return this.#transport?.extensions ?? ''
  }

  get binaryType() {
    return this.#binaryType
  }

  set binaryType(type) {
    this.#binaryType = type
    if (this.#transport) this.#transport.binaryType = type
  }

  /** Bytes that were given to `send` and did not leave: kept, waiting in the connection, or discarded after a close. */
  get bufferedAmount() {
    const waiting = this.readyState === CONNECTING ? 0 : (this.#transport?.bufferedAmount ?? 0)
    return waiting + this.#kept.bytes + this.#discarded
  }

  /** Dials now: it ends a wait, or begins anew after the end. */
  connect() {
    if (this.#state !== 'waiting' && this.#state !== 'closed') return
    if (this.#state === 'closed') {
      this.#delays.reset()
      this.#discarded = 0
      this.#wasOpen = false
    }
    this.#dial += 1
    if (typeof this.#url === 'function' || typeof this.#protocols === 'function') this.#ask(this.#dial)
    else this.#open(this.#url, this.#protocols)
    const { timeout } = this.#settings
    this.#enter({ state: 'connecting' }, timeout, () => this.#fail(new Error(`not open within ${timeout} ms`)))
  }

  /**
   * Without a connection the message is kept, within `keep`. After `close` it is discarded, as WebSocket does.
   * @param {Data} data
   * @throws {DOMException} InvalidStateError: no connection, and no room to keep the message
   */
  send(data) {
    if (this.#canSend()) this.#transmit(data)
    else if (this.readyState < CLOSING) this.#kept.add(data)
    else this.#discarded += sizeOf(data)
  }

  /**
   * Ends it for good: nothing dials again. The event `close` follows.
   * @param {number} [code] 1000, or 3000 to 4999
   * @param {string} [reason] at most 123 bytes of UTF-8
   * @throws {DOMException} for a code or reason that is not allowed; then nothing has changed
   */
  close(code, reason) {
    checkClose(code, reason)
    if (this.readyState >= CLOSING) return
    this.#transport?.close(code, reason)
    this.#enter({ state: 'closing' })
    if (this.#isLive) return
    const dial = ++this.#dial
    queueMicrotask(() => dial === this.#dial && this.#ended({ code: 1006, reason: '', wasClean: false }))
  }

  /** @param {number} dial */
  async #ask(dial) {
    try {
      await undefined // The functions may use what the constructor returns.
      const [url, protocols] = await Promise.all([resultOf(this.#url), resultOf(this.#protocols)])
      if (dial === this.#dial) this.#open(url, protocols)
    } catch (error) {
      if (dial === this.#dial) this.#fail(error)
    }
  }

  /** @param {string | URL} url @param {Protocols} protocols */
  #open(url, protocols) {
    const dial = this.#dial
    const transport = new this.#settings.WebSocket(url, protocols)
    transport.binaryType = this.#binaryType
    transport.onopen = () => dial === this.#dial && this.#opened()
    transport.onmessage = (/** @type {MessageEvent} */ event) => dial === this.#dial && this.#receive(event)
    transport.onerror = (/** @type {EventMap['error']} */ { error }) => dial === this.#dial && this.#report(error)
    transport.onclose = (/** @type {End} */ end) => dial === this.#dial && this.#ended(end)
    this.#transport = transport
    this.#isLive = true
  }

  #opened() {
    if (this.#state !== 'connecting') return
    const reconnected = this.#wasOpen
    this.#wasOpen = true
    this.#enter({ state: 'open' }, this.#settings.stable, () => this.#delays.reset())
    if (this.readyState !== OPEN) return // A listener has closed it.
    // What listeners send goes before what was kept: a server may want to know first who speaks.
    this.dispatchEvent(Object.assign(new Event('open'), { reconnected }))
    for (let data; this.#canSend() && (data = this.#kept.take()) !== undefined; ) this.#transmit(data)
  }

  #canSend() {
    return this.#state === 'open' && this.#transport?.readyState === OPEN
  }

  /** @param {Data} data */
  #transmit(data) {
    const transport = /** @type {Transport} */ (this.#transport)
    transport.send(data)
    this.#answers.expect(transport)
  }

  /** @param {MessageEvent} event */
  #receive({ data, origin }) {
    if (this.#state !== 'open' || !this.#transport) return
    this.#answers.came(this.#transport)
    this.dispatchEvent(new MessageEvent('message', { data, origin }))
  }

  /**
   * Gives up a connection that is dead, or a dial. The transport's own close event would come minutes later.
   * @param {any} error
   */
  #fail(error) {
    this.#dial += 1
    this.#isLive = false
    this.#transport?.close()
    this.#report(error)
    this.#ended({ code: 1006, reason: error?.message ?? String(error), wasClean: false })
  }

  /** @param {unknown} error */
  #report(error) {
    this.dispatchEvent(Object.assign(new Event('error'), { error }))
  }

  /** @param {End} end */
  #ended({ code, reason, wasClean }) {
    const end = { code, reason, wasClean }
    this.#dial += 1
    this.#isLive = false
    if (this.#state === 'closing' || !this.#settings.retry(end)) return this.#finish(end)
    const delay = this.#delays.next()
    this.#enter({ state: 'waiting', delay, ...end }, delay, () => this.connect())
  }

  /** @param {End} end */
  #finish(end) {
    this.#discarded += this.#kept.bytes
    this.#kept.clear()
    this.#enter({ state: 'closed', ...end })
    this.dispatchEvent(Object.assign(new Event('close'), end))
  }

  /**
   * Every state has at most one timer: the deadline of the dial, the proof of stability, or the wait.
   * @param {StateDetail} detail @param {number} [ms] @param {() => void} [then]
   */
  #enter(detail, ms = 0, then) {
    const { clock, network } = this.#settings
    clock.clearTimeout(this.#timer)
    this.#timer = then && clock.setTimeout(then, ms)
    for (const [type, listener, isOn] of /** @type {const} */ ([
      ['online', this.#wake, detail.state === 'waiting'],
      ['visibilitychange', this.#wake, detail.state === 'waiting'],
      ['offline', this.#offline, detail.state === 'open'],
    ])) {
      network[isOn ? 'addEventListener' : 'removeEventListener']?.(type, listener)
    }
    this.#answers.forget()
    this.#state = detail.state
    this.dispatchEvent(new CustomEvent('state', { detail }))
  }
}

/** @template T @param {T | (() => T | Promise<T>)} value @returns {T | Promise<T>} */
const resultOf = (value) => (typeof value === 'function' ? /** @type {() => T | Promise<T>} */ (value)() : value)
