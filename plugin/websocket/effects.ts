// What an answer does besides being a frame: checked, and written as headers or as a document.
import { type Data, type FrameData, frameOf } from '../frame-data.ts'
import { EffectHeader, encode, encodeListItem } from '../headers.ts'
import { checkClose, closeHeader } from './close.ts'

/*
 * The effects document, `application/vnd.framegate.effects+json`: {"effects":[…]}, applied in order.
 * A frame is always a JSON string, its bytes as text or as base64; never nested JSON.
 *
 *   {"send":{"text":"…"}}  or  {"send":{"base64":"…"}}               a text or a binary frame to this connection
 *   {"publish":{"topic":"…","text":"…" or "base64":"…"}}             a frame to all subscribers of a topic,
 *   {"publish":{"topic":"…","text":"…","except":"self"}}             without this connection
 *   {"publish":{"topic":"…","text":"…","replace":"…"}}               in place of an earlier one that waits
 *   {"subscribe":["…"]}  {"unsubscribe":["…"]}                       topics of this connection
 *   {"subscribe":[{"topic":"…","last":50}]}                          with the frames that the topic keeps
 *   {"state":"…"}                                                    kept with the connection; "" removes it
 *   {"user":"…"}                                                     names the connection's user
 *   {"alarm":30}                                                     an event after so many seconds; 0 takes it away
 *   {"close":{"code":4001,"reason":"…"}}                             always the last one
 */
type Effect =
  | { send: FrameData }
  | { publish: { topic: string } & PublishOptions & FrameData }
  | { subscribe: Subscription[] }
  | { unsubscribe: string[] }
  | { state: string }
  | { user: string }
  | { alarm: number }
type Subscription = string | ({ topic: string } & HistoryOptions)

/** Which of the frames that a topic keeps (HISTORY) a new subscriber gets first. */
export interface HistoryOptions {
  /** How many of the last ones. */
  last?: number
  /** All after this position, or none when the gateway no longer has all of them. */
  after?: string
  /**
   * When the gateway no longer has all of them: `'last'` gives the last ones (`last` says how many), `'none'` gives
   * nothing. Otherwise the client gets an error frame with the status 410.
   */
  else?: 'last' | 'none'
}

export interface PublishOptions {
  /** Not to this connection. */
  except?: 'self'
  /** Of the frames with one key that wait for a slow reader, only the newest is sent: 1 to 255 bytes. */
  replace?: string
}

interface CloseEffect {
  code: number
  reason: string
}

const MAX_NAME_BYTES = 255
const MAX_STATE_BYTES = 4096
const MAX_HEADER_BYTES = 2048
const MAX_ALARM_SECONDS = 365 * 86_400

/** The effects of one answer, in the order in which the handler asked for them. */
export class Effects {
  readonly #list: Effect[] = []
  #close: CloseEffect | null = null
  #needsDocument = false

  get closes(): boolean {
    return this.#close !== null
  }

  subscribe(topics: string[], history?: HistoryOptions): void {
    const names = topics.map(checkTopic)
    this.#list.push({ subscribe: history ? names.map((topic) => ({ topic, ...checkHistory(history) })) : names })
  }

  unsubscribe(topics: string[]): void {
    this.#list.push({ unsubscribe: topics.map(checkTopic) })
  }

  publish(topic: string, data: Data, { except, replace }: PublishOptions = {}): void {
    if (except !== undefined && except !== 'self')
      throw new TypeError(`except can only be 'self', got ${String(except)}`)
    if (replace !== undefined) replace = checkName(replace, 'replace')
    this.#list.push({ publish: { topic: checkTopic(topic), ...frameOf(data), except, replace } })
    this.#needsDocument = true
  }

  frame(data: Data): void {
    this.#list.push({ send: frameOf(data) })
    this.#needsDocument = true
  }

  close(code: number, reason: string): void {
    checkClose(code, reason)
    this.#close = { code, reason: reason.toWellFormed() }
  }

  state(value: string | null): void {
    if (value !== null && typeof value !== 'string') {
      throw new TypeError(`state must be a string or null, got ${typeof value}`)
    }
    const state = (value ?? '').toWellFormed()
    const bytes = Buffer.byteLength(state)
    if (bytes > MAX_STATE_BYTES)
      throw new RangeError(`state must be at most ${MAX_STATE_BYTES} bytes of UTF-8, got ${bytes}`)
    this.#list.push({ state })
  }

  user(name: string): void {
    this.#list.push({ user: checkName(name, 'user') })
  }

  alarm(seconds: number): void {
    if (typeof seconds !== 'number') throw new TypeError(`alarm must be a number, got ${typeof seconds}`)
    if (!(seconds >= 0 && seconds <= MAX_ALARM_SECONDS)) {
      throw new RangeError(`alarm must be 0 to ${MAX_ALARM_SECONDS} seconds, got ${seconds}`)
    }
    this.#list.push({ alarm: seconds })
  }

  /** The effects as headers, or null when they need a document: frames, publications, or more than 2 KB. */
  toHeaders(): Record<string, string> | null {
    if (this.#needsDocument) return null
    const headers: Record<string, string> = {}
    const topics = new Map<string, Subscription | null>()
    for (const effect of this.#list) {
      if ('subscribe' in effect) for (const wanted of effect.subscribe) topics.set(topicOf(wanted), wanted)
      if ('unsubscribe' in effect) for (const topic of effect.unsubscribe) topics.set(topic, null)
      if ('state' in effect) headers[EffectHeader.state] = encode(effect.state)
      if ('alarm' in effect) headers[EffectHeader.alarm] = decimal(effect.alarm)
      if ('user' in effect) headers[EffectHeader.user] = encode(effect.user)
    }
    for (const [topic, wanted] of topics) {
      const name = wanted === null ? EffectHeader.unsubscribe : EffectHeader.subscribe
      const item = encodeListItem(topic) + parametersOf(wanted)
      headers[name] = headers[name] === undefined ? item : `${headers[name]}, ${item}`
    }
    if (this.#close) headers[EffectHeader.close] = closeHeader(this.#close.code, this.#close.reason)
    let bytes = 0
    for (const name in headers) bytes += name.length + headers[name]!.length
    return bytes > MAX_HEADER_BYTES ? null : headers
  }

  /** The effects document. `body`, the answer itself if it is a frame, goes out after all frames and before a close. */
  toDocument(body: FrameData | null): string {
    const effects: (Effect | { close: CloseEffect })[] = [...this.#list]
    if (body) effects.push({ send: body })
    if (this.#close) effects.push({ close: this.#close })
    return JSON.stringify({ effects })
  }
}

/** Microseconds, without an exponent. Only 0 takes an alarm away, so a shorter time is not rounded down to it. */
function decimal(seconds: number): string {
  const text = (seconds > 0 ? Math.max(seconds, 1e-6) : 0).toFixed(6)
  return text.replace(/\.?0+$/, '')
}

function topicOf(wanted: Subscription): string {
  return typeof wanted === 'string' ? wanted : wanted.topic
}

/** What follows a topic's name in the header. */
function parametersOf(wanted: Subscription | null): string {
  if (wanted === null || typeof wanted === 'string') return ''
  const { topic: _, ...history } = wanted
  return Object.entries(history)
    .map(([name, value]) => `;${name}=${encodeListItem(String(value))}`)
    .join('')
}

function checkHistory({ last, after, else: otherwise }: HistoryOptions): HistoryOptions {
  const history: HistoryOptions = {}
  if (last !== undefined) {
    if (!Number.isInteger(last) || last < 1) throw new RangeError(`last must be a whole number from 1, got ${last}`)
    history.last = last
  }
  if (after !== undefined) {
    if (typeof after !== 'string') throw new TypeError(`after must be a position, got ${typeof after}`)
    history.after = after
  }
  if (otherwise !== undefined) {
    if ((otherwise !== 'last' && otherwise !== 'none') || after === undefined)
      throw new TypeError(`else can only be 'last' or 'none', beside after, got ${String(otherwise)}`)
    history.else = otherwise
  }
  return history
}

function checkTopic(topic: string): string {
  return checkName(topic, 'topic')
}

function checkName(value: string, what: string): string {
  if (typeof value !== 'string') throw new TypeError(`${what} must be a string, got ${typeof value}`)
  const bytes = Buffer.byteLength(value)
  if (bytes === 0 || bytes > MAX_NAME_BYTES) {
    throw new RangeError(`${what} must be 1 to ${MAX_NAME_BYTES} bytes of UTF-8, got ${bytes}`)
  }
  return value.toWellFormed()
}
