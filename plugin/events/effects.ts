// What an answer does besides being a frame: checked, and written as headers or as a document.
import { type Data, type FrameData, frameOf } from '../frame-data.ts'
import { EffectHeader, encode, encodeListItem } from '../headers.ts'
import { checkClose, closeHeader } from './close.ts'
import { checkAlarm, checkExcept, checkHistory, checkName, checkState, type HistoryOptions } from './effect-values.ts'

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

export interface PublishOptions {
  /** Not to this connection. */
  except?: 'self'
  /** Of the frames with one key that wait for a slow reader, only the newest is sent: 1 to 255 bytes. */
  replace?: string
}

/** What an answer can do besides being a frame. Fastify's `reply` and the `Reply` of `framegate/events` have all of it. */
export interface ReplyEffects {
  /** Subscribes this connection to topics. */
  subscribe(...topics: string[]): this
  /** Subscribes it to a topic, and sends it frames that the topic keeps, after all frames of this answer. */
  subscribe(topic: string, history: HistoryOptions): this
  unsubscribe(...topics: string[]): this
  /** Sends a frame to all subscribers of a topic; with `except: 'self'` not to this connection. */
  publish(topic: string, data: Data, options?: PublishOptions): this
  /** Sends a further frame to this connection, before the one of the answer's body. */
  frame(data: Data): this
  /** Asks for the event `alarm` after so many seconds, in place of any other; 0 takes it away. */
  alarm(seconds: number): this
  /** Closes the socket after the answer: 1000 or 3000-4999, and a reason of at most 123 bytes. */
  close(code?: number, reason?: string): this
  /** At most 4096 bytes that the gateway keeps with the connection and sends with every event; null removes it. */
  state: string | null
  /** Names the connection's user, which comes with every later event. */
  user: string | null
}

interface CloseEffect {
  code: number
  reason: string
}

type EventValues = object & { readonly state?: string | null; readonly user?: string | null }

const MAX_HEADER_BYTES = 2048

/** The effects of one answer, in the order in which the handler asked for them. */
export class Effects implements ReplyEffects {
  readonly #event: EventValues
  readonly #list: Effect[] = []
  #close: CloseEffect | null = null
  #needsDocument = false
  #isSent = false
  #state: string | null | undefined
  #user: string | null | undefined

  /** `event` is what the answer is for: its state and user are the answer's until the handler sets others. */
  constructor(event: EventValues = {}) {
    this.#event = event
  }

  get closes(): boolean {
    return this.#close !== null
  }

  subscribe(...topics: Array<string | HistoryOptions>): this {
    const last = topics.at(-1)
    const history = typeof last === 'object' && last !== null ? checkHistory(last) : undefined
    const names = topics.slice(0, history && -1).map(checkTopic)
    this.#add({ subscribe: history ? names.map((topic) => ({ topic, ...history })) : names })
    return this
  }

  unsubscribe(...topics: string[]): this {
    this.#add({ unsubscribe: topics.map(checkTopic) })
    return this
  }

  publish(topic: string, data: Data, { except, replace }: PublishOptions = {}): this {
    checkExcept(except)
    if (replace !== undefined) replace = checkName(replace, 'replace')
    this.#add({ publish: { topic: checkTopic(topic), ...frameOf(data), except, replace } })
    this.#needsDocument = true
    return this
  }

  frame(data: Data): this {
    this.#add({ send: frameOf(data) })
    this.#needsDocument = true
    return this
  }

  alarm(seconds: number): this {
    this.#add({ alarm: checkAlarm(seconds) })
    return this
  }

  close(code = 1000, reason = ''): this {
    checkClose(code, reason)
    this.#checkOpen()
    this.#close = { code, reason: reason.toWellFormed() }
    return this
  }

  get state(): string | null {
    return this.#state === undefined ? (this.#event.state ?? null) : this.#state
  }

  set state(value: string | null) {
    const state = checkState(value)
    this.#add({ state })
    this.#state = state === '' ? null : value
  }

  get user(): string | null {
    return this.#user === undefined ? (this.#event.user ?? null) : this.#user
  }

  set user(name: string | null) {
    this.#add({ user: checkName(name, 'user') })
    this.#user = name
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

  /**
   * The effects as headers of an answer that streams: they go out before its first frame.
   * @throws {TypeError} when they need a document, and from then on for every further effect
   */
  toStreamHeaders(): Record<string, string> {
    const headers = this.toHeaders()
    if (headers === null) throw new TypeError('an answer that streams takes no publish, no frame, and 2 KB of effects')
    this.#isSent = true
    return headers
  }

  /** The effects document. `body`, the answer itself if it is a frame, goes out after all frames and before a close. */
  toDocument(body: FrameData | null): string {
    const effects: (Effect | { close: CloseEffect })[] = [...this.#list]
    if (body) effects.push({ send: body })
    if (this.#close) effects.push({ close: this.#close })
    return JSON.stringify({ effects })
  }

  #add(effect: Effect): void {
    this.#checkOpen()
    this.#list.push(effect)
  }

  #checkOpen(): void {
    if (this.#isSent) throw new TypeError('the effects of an answer that streams come before its first frame')
  }
}

/** Microseconds, without an exponent. Only 0 takes an alarm away, so a shorter time is not rounded down to it. */
function decimal(seconds: number): string {
  const text = (seconds > 0 ? Math.max(seconds, 1e-6) : 0).toFixed(6)
  return text.replace(/\.?0+$/, '')
}

function checkTopic(topic: unknown): string {
  return checkName(topic, 'topic')
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
