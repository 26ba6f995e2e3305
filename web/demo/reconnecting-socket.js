/**
 * ReconnectingSocket: a WebSocket that comes back. One file, no dependency, yours to copy.
 *
 *   const socket = new ReconnectingSocket('wss://example.com/ws/chat')
 *   socket.addEventListener('message', (event) => show(event.data))
 *   socket.addEventListener('state', ({ detail }) => paint(detail.state, detail.delay))
 *
 * States    "connecting", "open", "waiting" (detail.delay: milliseconds until the next try), "closed".
 * Events    "state", and WebSocket's "open", "message" and "close". "close" comes for every connection that ended. The
 *           "state" event right after it shows whether another connection follows.
 * send()    throws an InvalidStateError unless the connection is open: nothing is queued, and nothing is dropped in silence.
 *           A message sent just before a connection broke may still be lost, as with any WebSocket. Where that matters,
 *           number the messages and let the server confirm them.
 * close()   is on purpose: the state is "closed" immediately, and no further try is made. "close", with the code, follows.
 * connect() tries now: it ends a wait, or starts again after "closed".
 *
 * Delays    Random between 0 and a ceiling that doubles from `min` to `max` ("full jitter"), so that clients do not all
 *           return to a restarted server in the same moment. A connection that stayed open for `stable` starts over at
 *           `min`. While the browser reports that it is offline, a wait takes `max` (the report may be wrong, so not for
 *           ever). When the browser is online again, the next try starts immediately.
 * Silence   A network can swallow packets without ending the connection, and a browser then shows an open WebSocket for
 *           minutes. Two signs end such a connection here, with code 1006: the browser reports that it has gone offline,
 *           or a message that was sent gets no answer within `answer`. No ping is sent, so handlers notice nothing. Set
 *           `answer` when your server answers every message, and set it longer than the slowest answer takes.
 * Giving up After a close code that would come again: 1000, a protocol or policy error, 3000 to 4999. `retry` overrules it.
 *           A refused handshake looks like a broken network to a browser (1006), so it is tried again.
 *
 * @typedef {object} Options
 * @property {number} [min] ceiling of the first delay, ms (500)
 * @property {number} [max] ceiling of every delay, ms (30000)
 * @property {number} [stable] how long a connection must be open to count as good, ms (5000)
 * @property {number} [timeout] how long a connection may take to open, ms (10000)
 * @property {number} [answer] how long the answer to a message may take, ms (0: any time; not every message is answered)
 * @property {(event: CloseEvent) => boolean} [retry] whether to try again after this close (see `worthRetrying`)
 * @property {BinaryType} [binaryType] as in WebSocket ("blob")
 * @property {new (url: string | URL, protocols?: string | string[]) => WebSocket} [WebSocket] for tests, as are the next three
 * @property {() => number} [random]
 * @property {{ setTimeout: (then: () => void, ms: number) => any, clearTimeout: (timer: any) => void }} [clock]
 * @property {{ navigator?: { onLine?: boolean }, addEventListener?: Function, removeEventListener?: Function }} [network]
 */
export class ReconnectingSocket extends EventTarget {
  #url
  #protocols
  #options
  #socket
  #timer
  #state = 'closed'
  #tries = 0
  #unanswered = 0
  #answerTimer
  #wake = () => this.connect()
  #offline = () => this.#lose('the browser is offline')

  /** @param {string | URL} url @param {string | string[]} [protocols] @param {Options} [options] */
  constructor(url, protocols = [], options = {}) {
    super()
    this.#url = url
    this.#protocols = protocols
    this.#options = {
      min: 500,
      max: 30_000,
      stable: 5_000,
      timeout: 10_000,
      answer: 0,
      retry: worthRetrying,
      binaryType: /** @type {BinaryType} */ ('blob'),
      WebSocket: globalThis.WebSocket,
      random: Math.random,
      clock: globalThis,
      network: globalThis,
      ...options,
    }
    this.connect()
  }

  get state() {
    return this.#state
  }

  connect() {
    if (this.#state === 'connecting' || this.#state === 'open') return
    const { WebSocket, binaryType, timeout, stable } = this.#options
    const socket = new WebSocket(this.#url, this.#protocols)
    socket.binaryType = binaryType
    socket.onopen = () => {
      if (socket !== this.#socket) return
      this.#enter('open', stable, () => {
        this.#tries = 0
      })
      this.dispatchEvent(new Event('open'))
    }
    socket.onmessage = ({ data, origin }) => {
      if (socket === this.#socket) this.#expectAnswers(Math.max(0, this.#unanswered - 1))
      this.dispatchEvent(new MessageEvent('message', { data, origin }))
    }
    socket.onclose = (event) => this.#ended(socket, event)
    this.#socket = socket
    this.#enter('connecting', timeout, () => socket.close())
  }

  /** @param {string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob} data */
  send(data) {
    if (this.#state !== 'open' || this.#socket?.readyState !== 1) {
      throw new DOMException('not sent: the connection is not open', 'InvalidStateError')
    }
    this.#socket.send(data)
    this.#expectAnswers(this.#unanswered + 1)
  }

  /** @param {number} [code] 1000, or 3000 to 4999 @param {string} [reason] at most 123 bytes of UTF-8 */
  close(code = 1000, reason = '') {
    this.#socket?.close(code, reason) // Throws for a code or reason that is not allowed; then nothing has changed.
    this.#socket = undefined
    if (this.#state !== 'closed') this.#enter('closed')
  }

  #ended(socket, { code, reason, wasClean }) {
    const event = new CloseEvent('close', { code, reason, wasClean })
    this.dispatchEvent(event)
    if (socket !== this.#socket) return // Closed on purpose, perhaps by a listener just now, or replaced.
    const { min, max, retry, random, network } = this.#options
    if (!retry(event)) return this.#enter('closed')
    const ceiling = Math.min(max, min * 2 ** this.#tries)
    this.#tries += 1
    this.#enter('waiting', network.navigator?.onLine === false ? max : Math.round(random() * ceiling), this.#wake)
  }

  #expectAnswers(unanswered) {
    const { answer, clock } = this.#options
    const isWaiting = unanswered > this.#unanswered && this.#unanswered > 0 // further sends do not postpone the end
    this.#unanswered = unanswered
    if (answer === 0 || isWaiting) return
    clock.clearTimeout(this.#answerTimer)
    if (unanswered > 0) this.#awaitAnswer(this.#socket.bufferedAmount)
  }

  // A large message on a slow network has more time, as long as its bytes keep leaving.
  #awaitAnswer(unsent) {
    const { answer, clock } = this.#options
    this.#answerTimer = clock.setTimeout(() => {
      const left = this.#socket.bufferedAmount
      if (left > 0 && left < unsent) this.#awaitAnswer(left)
      else this.#lose(`no answer within ${answer} ms`)
    }, answer)
  }

  // The connection is dead, but the browser has not noticed: its own close event would come minutes later.
  #lose(reason) {
    const socket = this.#socket
    socket.onmessage = socket.onclose = null
    socket.close()
    this.#ended(socket, { code: 1006, reason, wasClean: false })
  }

  // Every state has at most one timer: the deadline of the try, the proof of stability, or the wait.
  #enter(state, ms, then) {
    const { clock, network } = this.#options
    clock.clearTimeout(this.#timer)
    this.#timer = then && clock.setTimeout(then, ms)
    if (state === 'waiting') network.addEventListener?.('online', this.#wake)
    else network.removeEventListener?.('online', this.#wake)
    if (state === 'open') network.addEventListener?.('offline', this.#offline)
    else network.removeEventListener?.('offline', this.#offline)
    this.#expectAnswers(0)
    if (state === 'closed') this.#tries = 0
    this.#state = state
    this.dispatchEvent(new CustomEvent('state', { detail: { state, delay: state === 'waiting' ? ms : undefined } }))
  }
}

/** Going away, no close frame, server error, restart, try later, bad gateway: another try may well succeed. */
export const worthRetrying = ({ code }) => [1001, 1006, 1011, 1012, 1013, 1014].includes(code)
