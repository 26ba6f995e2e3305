import { Agent, request } from 'node:http'
import { resolve } from 'node:path'
import { errorOf, UnreachableError, unreachable } from './gateway-errors.ts'

export interface GatewayOptions {
  /** `unix:/path/to/control.sock` or `http://host:port`. Default: CONTROL_URL, CONTROL_SOCKET, or run/control/control.sock here. */
  url?: string | undefined
  /** What the gateway was started with as CONTROL_TOKEN; only sent over TCP. Default: CONTROL_TOKEN. */
  token?: string | undefined
  /** Milliseconds within which an answer must begin. Default 10,000. */
  timeout?: number | undefined
}

export interface Ask {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  body?: string | Uint8Array
  type?: string
  idempotencyKey?: string | undefined
}

type Address = { socketPath: string } | { host: string; port: number }
type Answer = { status: number; body: string }

const DEFAULT_SOCKET = 'run/control/control.sock'
const MAX_CONNECTIONS = 64
/** The status of a worker that a reload has sent away: it has done nothing. */
const LEAVING = 503
/** Below nginx's keepalive_timeout (75 s), so that a connection is not used in the moment in which nginx closes it. */
const IDLE_MS = 30_000

/** HTTP with the control API, over kept-alive connections. */
export class GatewayClient {
  /** The path of the socket, or the URL. */
  readonly where: string
  readonly #address: Address
  readonly #headers: Record<string, string> = {}
  readonly #timeout: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, timeout: IDLE_MS })

  /** @throws {TypeError} for a url that is neither of the two forms */
  constructor(options: GatewayOptions, env: Record<string, string | undefined>) {
    const url = options.url ?? (env.CONTROL_URL || `unix:${env.CONTROL_SOCKET || DEFAULT_SOCKET}`)
    this.#address = addressOf(url)
    this.where = 'socketPath' in this.#address ? this.#address.socketPath : `http://${new URL(url).host}`
    const token = options.token ?? env.CONTROL_TOKEN
    if (token && 'port' in this.#address) this.#headers.authorization = `Bearer ${token}`
    this.#timeout = options.timeout ?? 10_000
  }

  /**
   * The JSON of the answer; undefined for 204.
   * @throws {GatewayError} for a refusal, and when there is no answer
   */
  async json(ask: Ask): Promise<any> {
    const { status, body } = await this.#exchange(ask)
    if (status === 204) return undefined
    let value
    try {
      value = JSON.parse(body)
    } catch (cause) {
      throw new UnreachableError(
        `what answers on ${this.where} is not the control API of framegate (status ${status})`,
        { cause },
      )
    }
    if (status !== 200) throw errorOf({ ...value, status })
    return value
  }

  close(): void {
    this.#agent.destroy()
  }

  async #exchange(ask: Ask): Promise<Answer> {
    try {
      const answer = await this.#attempt(ask)
      if (answer.status !== LEAVING) return answer
    } catch (error) {
      if (!isRepeatable(ask, error as NodeJS.ErrnoException)) throw unreachable(this.where, error as Error)
    }
    try {
      return await this.#attempt(ask)
    } catch (error) {
      throw unreachable(this.where, error as Error)
    }
  }

  #attempt({ method, path, body, type, idempotencyKey }: Ask): Promise<Answer> {
    const headers: Record<string, string> = { ...this.#headers }
    if (type !== undefined) headers['content-type'] = type
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...this.#address, agent: this.#agent, method, path, headers, timeout: this.#timeout })
      outgoing.on('response', (incoming) => {
        let text = ''
        incoming.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        incoming.on('end', () => resolve({ status: incoming.statusCode!, body: text })).on('error', reject)
      })
      outgoing.on('timeout', () => outgoing.destroy(new Error(`nothing came within ${this.#timeout} ms`)))
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }
}

/**
 * Whether a request whose connection broke may be sent again. A POST without a key only when it is certain that the
 * gateway did not read it whole: it could not be written, or the kernel says that it was closed unread. That is how a
 * kept-alive connection ends when nginx reloads in the same moment.
 */
function isRepeatable({ method, idempotencyKey }: Ask, { code, syscall }: NodeJS.ErrnoException): boolean {
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return false
  return method !== 'POST' || idempotencyKey !== undefined || syscall !== undefined
}

/** The url is not shown when it is wrong: there may be a password in it. */
function addressOf(url: string): Address {
  if (/^unix:./.test(url)) return { socketPath: resolve(url.slice('unix:'.length)) }
  if (!/^http:\/\/[^/?#@]+\/?$/i.test(url) || !URL.canParse(url)) {
    throw new TypeError('the url of a gateway (CONTROL_URL) is unix:/path/to/control.sock or http://host:port')
  }
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
}
