// @ts-check
/**
 * ReconnectingSocket: a WebSocket that dials again when its connection ends (docs/client.md). The npm package exports it as
 * framegate/client, and the pages of the demo load these files as they are.
 *   const socket = new ReconnectingSocket('wss://example.com/ws/chat')
 *   socket.onmessage = (event) => show(event.data)
 */
import { ask } from './address.js'
import { Answers } from './answers.js'
import { checkClose } from './close-arguments.js'
import { Delays } from './delays.js'
import { Kept, sizeOf } from './kept.js'
import { Session } from './session.js'
import { withDefaults } from './settings.js'
import { watcher } from './signs.js'
import { CLOSED, CLOSING, CONNECTING, emit, OPEN, SocketTarget } from './socket-target.js'

export { worthRetrying } from './settings.js'

/** @import { Data, End, Options, Protocols, State, StateDetail, Transport } from './interface.js' */

/** @type {Record<State, 0 | 1 | 2 | 3>} */
const READY_STATE = { connecting: CONNECTING, waiting: CONNECTING, open: OPEN, closing: CLOSING, closed: CLOSED }

export class ReconnectingSocket extends SocketTarget {
  #address
  #settings
  #delays
  #kept
  #answers
  #session
  #watch
  /** @type {Transport | undefined} the newest connection, perhaps an ended one */ #transport
  /** @type {State} */ #state = 'closed'
  /** @type {'blob' | 'arraybuffer'} */ #binaryType = 'blob'
  #dial = 0 // a new number when a dial begins and when a connection ends: what an earlier one still does is ignored
  #isLive = false // the transport's end is still to come
  #wasOpen = false
  #discarded = 0
  /** @type {any} */ #timer

  /**
   * @param {string | URL | (() => string | URL | Promise<string | URL>)} url a function is called for each dial
   * @param {Protocols | (() => Protocols | Promise<Protocols>)} [protocols]
   * @param {Options} [options]
   * @throws {DOMException} what WebSocket throws, such as SyntaxError, unless url or protocols is a function
   */
  constructor(url, protocols = [], options = {}) {
    super()
    const settings = withDefaults(options)
    const fail = (/** @type {string} */ reason) => this.#fail(new Error(reason))
    this.#address = /** @type {import('./address.js').Address} */ ([url, protocols])
    this.#settings = settings
    this.#delays = new Delays(settings)
    this.#kept = new Kept(settings.keep)
    this.#session = new Session({ ...settings, kept: this.#kept, target: this })
    this.#answers = new Answers({ ...settings, fail, session: this.#session })
    this.#watch = watcher({ ...settings, fail, wake: () => this.connect() })
    this.connect()
  }

  get state() {
    return this.#state
  }

  get readyState() {
    return READY_STATE[this.#state]
  }

  /** Without the name of the session. */
  get url() {
    return (this.#transport?.url ?? '').replace(/[?&]ws-session=[\w.-]+$/, '')
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

  /** Bytes that were given to `send` and did not leave, or are not confirmed, or were discarded after a close. */
  get bufferedAmount() {
    const isKept = this.#session.isOn || this.readyState === CONNECTING
    return (isKept ? 0 : (this.#transport?.bufferedAmount ?? 0)) + this.#kept.bytes + this.#discarded
  }

  /** Dials now: it ends a wait, or begins anew after the end. */
  connect() {
    if (this.#state !== 'waiting' && this.#state !== 'closed') return
    if (this.#state === 'closed') {
      this.#delays.reset()
      this.#discarded = 0
      this.#wasOpen = false
    }
    const dial = ++this.#dial
    ask(
      this.#address,
      (url, protocols) => dial === this.#dial && this.#open(url, protocols),
      (error) => dial === this.#dial && this.#fail(error),
    )
    const { timeout } = this.#settings
    this.#enter({ state: 'connecting' }, timeout, () => this.#fail(new Error(`not open within ${timeout} ms`)))
  }

  /**
   * Without a connection, and with a session until it is confirmed, the message is kept. After `close` it is discarded.
   * @param {Data} data
   * @throws {DOMException} InvalidStateError: there is no room to keep the message
   */
  send(data) {
    const canSend = this.#state === 'open' && this.#transport?.readyState === OPEN
    if (canSend && !this.#session.isOn) return this.#transmit(data)
    if (this.readyState >= CLOSING) this.#discarded += sizeOf(data)
    else this.#kept.add(data, canSend)
    if (canSend) this.#transmit(/** @type {Data} */ (this.#kept.next(true)))
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

  /** @param {string | URL} url @param {Protocols} protocols */
  #open(url, protocols) {
    const dial = this.#dial
    const transport = new this.#settings.WebSocket(this.#session.ask(url), protocols)
    transport.binaryType = this.#binaryType
    transport.onopen = () => dial === this.#dial && !this.#session.isAsked && this.#opened('open')
    transport.onmessage = (/** @type {MessageEvent} */ event) => transport === this.#transport && this.#receive(event)
    transport.onerror = (/** @type {any} */ { error }) => dial === this.#dial && emit(this, 'error', { error })
    transport.onclose = (/** @type {End} */ end) => dial === this.#dial && this.#ended(end)
    this.#transport = transport
    this.#isLive = true
  }

  /** @param {'open' | 'resume'} type */
  #opened(type) {
    if (this.#state !== 'connecting') return
    const reconnected = this.#wasOpen
    this.#wasOpen = true
    if (type === 'resume') this.#flush()
    this.#enter({ state: 'open' }, this.#settings.stable, () => this.#delays.reset())
    if (this.readyState !== OPEN) return // A listener has closed it.
    if (this.#transport) this.#answers.came(this.#transport, 0)
    // What listeners send goes before what was kept: a server may want to know first who speaks.
    emit(this, type, { reconnected })
    if (this.#isLive) this.#flush()
  }

  #flush() {
    for (let data; this.#transport?.readyState === OPEN && (data = this.#kept.next(this.#session.isOn)) !== undefined; )
      this.#transmit(data)
  }

  /** @param {Data} data */
  #transmit(data) {
    const transport = /** @type {Transport} */ (this.#transport)
    transport.send(data)
    this.#answers.expect(transport)
  }

  /** @param {MessageEvent} event */
  #receive({ data, origin }) {
    const session = this.#session
    if (session.isAsked) {
      if (this.#state !== 'connecting') return
      const isFrame = session.begin(data)
      this.#opened(session.isResumed ? 'resume' : 'open')
      if (isFrame) return
    }
    const isOpen = this.#state === 'open'
    // In a session a message may come late, from a connection that was given up: its pong has confirmed it.
    if (!isOpen && (!session.isOn || this.readyState !== CONNECTING)) return
    if (session.isOn) data = session.read(data)
    const isMessage = data !== undefined
    if (isOpen) this.#answers.came(/** @type {Transport} */ (this.#transport), Number(isMessage))
    if (isMessage) this.dispatchEvent(new MessageEvent('message', { data, origin }))
  }

  /**
   * Gives up a connection that is dead, or a dial. The transport's own close event would come minutes later.
   * @param {any} error
   */
  #fail(error) {
    this.#dial += 1
    this.#isLive = false
    if (this.#transport) this.#session.leave(this.#transport)
    emit(this, 'error', { error })
    this.#ended({ code: 1006, reason: error?.message ?? String(error), wasClean: false })
  }

  /** @param {End} end */
  #ended({ code, reason, wasClean }) {
    const end = { code, reason, wasClean }
    const isAgain = this.#state !== 'closing' && this.#settings.retry(end)
    const isKept = isAgain && this.#session.isOn && [1006, 1012].includes(code)
    // With 1012 the gateway moves a session to another worker, which waits for it.
    const delay = isKept && code === 1012 && this.#state === 'open' ? 0 : this.#delays.next()
    if (!isKept && this.#session.isOn && this.#state !== 'closing') this.#session.lose()
    this.#dial += 1
    this.#isLive = false
    if (this.#state === 'closing' || !isAgain) return this.#finish(end)
    this.#enter({ state: 'waiting', delay, ...end }, delay, () => this.connect())
  }

  /** @param {End} end */
  #finish(end) {
    this.#session.end()
    this.#discarded += this.#kept.bytes
    this.#kept.clear()
    this.#enter({ state: 'closed', ...end })
    emit(this, 'close', end)
  }

  /**
   * Every state has at most one timer: the deadline of the dial, the proof of stability, or the wait.
   * @param {StateDetail} detail @param {number} [ms] @param {() => void} [then]
   */
  #enter(detail, ms = 0, then) {
    const { clock } = this.#settings
    clock.clearTimeout(this.#timer)
    this.#timer = then && clock.setTimeout(then, ms)
    this.#watch(detail.state)
    this.#answers.forget()
    this.#state = detail.state
    this.dispatchEvent(new CustomEvent('state', { detail }))
  }
}
