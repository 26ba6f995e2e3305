// Requests to the control API: where it is, the token, and which requests may be repeated.
import { Agent } from 'node:http'
import { resolve } from 'node:path'
import { errorOf, UnreachableError, unreachable } from './errors.ts'
import { type Answer, exchange } from './exchange.ts'

export interface GatewayOptions {
  /** `unix:/path/to/control.sock` or `http://host:port`. Default: CONTROL_URL, CONTROL_SOCKET, or run/control/control.sock here. */
  url?: string | undefined
  /** The CONTROL_TOKEN of the gateway; only sent over TCP. Default: CONTROL_TOKEN. */
  token?: string | undefined
  /** Milliseconds that may pass without a byte of the answer. Default 10,000. */
  timeout?: number | undefined
}

export interface ControlRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  body?: string | Uint8Array
  type?: string
  idempotencyKey?: string | undefined
  traceparent?: string | string[] | undefined
  /** Of a list: accepts the part that could be had, and is called with why something is missing. */
  onMissing?: ((reason: string) => void) | undefined
}

const DEFAULT_SOCKET = 'run/control/control.sock'
const MAX_CONNECTIONS = 64
/** The second time, another worker of a gateway that reloads has the request. The third is for a second reload. */
const MOST_ATTEMPTS = 3
/** The status of a list without what a worker or a node holds that did not answer. */
const INCOMPLETE = 504
/** Below nginx's keepalive_timeout (75 s), so that no request is sent at the moment when nginx closes the connection. */
const IDLE_MS = 30_000

/** Sends requests to the control API over kept-alive connections. */
export class GatewayClient {
  /** The path of the socket, or the URL. */
  readonly where: string
  readonly #target: string
  readonly #headers: Record<string, string> = {}
  readonly #timeoutMs: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, timeout: IDLE_MS })

  /** @throws {TypeError} for a url that is neither of the two forms */
  constructor(options: GatewayOptions, env: Record<string, string | undefined>) {
    this.#target = targetOf(options.url ?? (env.CONTROL_URL || `unix:${env.CONTROL_SOCKET || DEFAULT_SOCKET}`))
    const isSocket = this.#target.startsWith('unix:')
    this.where = isSocket ? this.#target.slice('unix:'.length) : this.#target
    const token = options.token ?? env.CONTROL_TOKEN
    if (token && !isSocket) this.#headers.authorization = `Bearer ${token}`
    this.#timeoutMs = options.timeout ?? 10_000
  }

  /**
   * The JSON of the answer, which the caller knows the type of; undefined for 204.
   * @throws {GatewayError} for a refusal, and when there is no answer
   */
  async json<T>(asked: ControlRequest): Promise<T> {
    const { status, body } = await this.#answer(asked)
    if (status === 204) return undefined as T
    let value
    try {
      value = JSON.parse(body)
    } catch (cause) {
      throw new UnreachableError(
        `what answers on ${this.where} is not the control API of framegate (status ${status})`,
        { cause },
      )
    }
    if (status === 200) return value
    if (status !== INCOMPLETE || !asked.onMissing || !(value.connections ?? value.topics))
      throw errorOf({ ...value, status })
    asked.onMissing(value.detail)
    return value
  }

  close(): void {
    this.#agent.destroy()
  }

  /** Only the first attempt takes a kept-alive connection: a worker that shuts down ends those after its answer. */
  async #answer(asked: ControlRequest): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#attempt(asked, attempt === 1 ? this.#agent : undefined)
        if (attempt === MOST_ATTEMPTS || !isOfLeaving(answer)) return answer
      } catch (error) {
        if (attempt === MOST_ATTEMPTS || !isRepeatable(asked, error as NodeJS.ErrnoException))
          throw unreachable(this.where, error as Error)
      }
    }
  }

  #attempt(asked: ControlRequest, agent: Agent | undefined): Promise<Answer> {
    const { method, path, body, type, idempotencyKey, traceparent } = asked
    const headers = { ...this.#headers }
    if (type !== undefined) headers['content-type'] = type
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey
    if (typeof traceparent === 'string') headers.traceparent = traceparent
    return exchange(this.#target, { method, path, headers, body, timeoutMs: this.#timeoutMs, agent })
  }
}

/**
 * Whether a worker has answered that shuts down after a reload, and has done nothing. Other answers with 503 have another
 * retry-after: part of a cluster may have executed the request.
 */
function isOfLeaving({ status, headers }: Answer): boolean {
  return status === 503 && headers['retry-after'] === '0'
}

/**
 * Whether a request whose connection broke may be sent again. A POST without a key only when the gateway certainly
 * did not read all of it: it could not be written, or the kernel reports that it was closed unread. A kept-alive
 * connection ends like that when nginx reloads at the same moment.
 */
function isRepeatable({ method, idempotencyKey }: ControlRequest, { code, syscall }: NodeJS.ErrnoException): boolean {
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return false
  return method !== 'POST' || idempotencyKey !== undefined || syscall !== undefined
}

/** What `exchange` takes. The error does not show the url: there may be a password in it. */
function targetOf(url: string): string {
  if (/^unix:./.test(url)) return `unix:${resolve(url.slice('unix:'.length))}`
  if (/^http:\/\/[^/?#@]+\/?$/i.test(url) && URL.canParse(url)) return `http://${new URL(url).host}`
  throw new TypeError('the url of a gateway (CONTROL_URL) is unix:/path/to/control.sock or http://host:port')
}
