/** An awaitable WebSocket client around `ws`: `await client.next()` is the next message. */
import assert from 'node:assert/strict'
import WebSocket from 'ws'

export type Closed = { code: number; reason: string }

export class Client {
  readonly socket: WebSocket
  readonly opened: Promise<void>
  readonly closed: Promise<Closed>
  pings = 0
  /** Whether it was refused by a worker that goes away after a reload: another is there. */
  isSentOn = false
  #messages: Array<string | Buffer> = []
  #takers: Array<(message: string | Buffer) => void> = []

  constructor(url: string, options: WebSocket.ClientOptions & { protocols?: string[] } = {}) {
    const { protocols = [], ...rest } = options
    this.socket = new WebSocket(url, protocols, {
      perMessageDeflate: false,
      finishRequest: (request) => {
        request.once('response', ({ statusCode, headers }) => {
          this.isSentOn = statusCode === 503 && headers['retry-after'] === '0'
        })
        request.end()
      },
      ...rest,
    })
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve)
      this.socket.once('error', reject)
    })
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
    this.socket.on('error', () => {})
    this.socket.on('ping', () => {
      this.pings += 1
    })
    this.socket.on('message', (data, isBinary) => this.#take(isBinary ? (data as Buffer) : data.toString()))
    this.opened.catch(() => {})
  }

  #take(message: string | Buffer): void {
    const taker = this.#takers.shift()
    if (taker) taker(message)
    else this.#messages.push(message)
  }

  /** The next message: a string for text, a Buffer for binary. */
  async next(ms = 20_000): Promise<string | Buffer> {
    const message = this.#messages.shift()
    if (message !== undefined) return message
    return new Promise((resolve, reject) => {
      const take = (next: string | Buffer): void => {
        clearTimeout(timer)
        resolve(next)
      }
      const timer = setTimeout(() => {
        this.#takers.splice(this.#takers.indexOf(take), 1) // a message that comes later is for the next call
        reject(new Error(`no message came for ${ms} ms`))
      }, ms)
      this.#takers.push(take)
    })
  }

  /** The next message as JSON. */
  async json(ms?: number): Promise<any> {
    return JSON.parse(String(await this.next(ms)))
  }

  /** Sends a message and waits for the next one. */
  async ask(message: string | Buffer): Promise<string | Buffer> {
    this.socket.send(message)
    return this.next()
  }

  async close(code?: number, reason?: string): Promise<Closed> {
    this.socket.close(code, reason)
    return this.closed
  }
}

/** Opens a socket and waits for the 101. Where a worker that goes away sends it on, it dials again. */
export async function open(url: string, options?: WebSocket.ClientOptions & { protocols?: string[] }): Promise<Client> {
  const client = new Client(url, options)
  try {
    await client.opened
  } catch (error) {
    if (client.isSentOn) return open(url, options)
    throw error
  }
  return client
}

/** Every client sends a text of its own, all at the same time, and gets it back. */
export async function areEchoed(clients: Client[], text: string): Promise<void> {
  const sent = clients.map((_, i) => `${text} ${i}`)
  assert.deepEqual(await Promise.all(clients.map((client, i) => client.ask(sent[i]!))), sent)
}
