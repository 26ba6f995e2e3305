/** A client of an event stream that a test holds in its hand: it shows each event as it came, and the end. */
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { request as requestSecurely } from 'node:https'
import type { TestContext } from 'node:test'
import type { ConnectionOptions } from 'node:tls'
import { until } from './wait.ts'

export type StreamEvent = { type: string; data: string | undefined; id: string | undefined }

export class EventStream {
  readonly response: IncomingMessage
  readonly events: StreamEvent[] = []
  /** The id of the last event that has one. */
  lastId = ''
  /** Everything that came. */
  text = ''
  /** How it ended: whole, or broken off. */
  ended: 'whole' | 'broken' | undefined
  #read = 0
  #parsed = 0

  constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk) => {
      this.text += chunk
      this.#parse()
    })
    response.on('end', () => {
      this.ended ??= 'whole'
    })
    response.on('error', () => {
      this.ended ??= 'broken'
    })
  }

  get status(): number {
    return this.response.statusCode!
  }

  get headers(): IncomingHttpHeaders {
    return this.response.headers
  }

  /** The next event that has data. */
  async next(ms = 20_000): Promise<StreamEvent> {
    return until(
      'an event',
      () => {
        while (this.#read < this.events.length) {
          const event = this.events[this.#read++]!
          if (event.data !== undefined) return event
        }
        return undefined
      },
      ms,
    )
  }

  async end(ms = 20_000): Promise<'whole' | 'broken'> {
    return until('the end of the stream', () => this.ended, ms)
  }

  cut(): void {
    this.response.destroy()
  }

  #parse(): void {
    for (let end; (end = this.text.indexOf('\n\n', this.#parsed)) >= 0; this.#parsed = end + 2) {
      const event: StreamEvent = { type: 'message', data: undefined, id: undefined }
      for (const line of this.text.slice(this.#parsed, end).split('\n')) {
        const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line)!
        if (name === 'event') event.type = value!
        if (name === 'data') event.data = event.data === undefined ? value : `${event.data}\n${value}`
        if (name === 'id') event.id = this.lastId = value!
      }
      this.events.push(event)
    }
  }
}

export type StreamOptions = {
  tls?: ConnectionOptions
  headers?: Record<string, string | string[]>
  method?: string
  localAddress?: string
}

/** Asks for a stream and returns whatever the answer is. Its end is the caller's, or the test's. */
export function openStream(
  t: TestContext,
  port: number,
  path: string,
  { headers = {}, method = 'GET', localAddress, tls }: StreamOptions = {},
): Promise<EventStream> {
  return new Promise((resolve, reject) => {
    const asked: ClientRequest = (tls ? requestSecurely : request)(
      {
        port,
        host: '127.0.0.1',
        localAddress,
        path,
        method,
        agent: false,
        ...tls,
        headers: { accept: 'text/event-stream', connection: 'keep-alive', ...headers },
      },
      (response) => resolve(new EventStream(response)),
    )
    t.after(() => asked.destroy())
    asked.on('error', reject).end()
  })
}
