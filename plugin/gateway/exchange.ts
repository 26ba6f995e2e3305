// One HTTP request and its whole answer, over a unix socket or TCP. The command line uses it too.
import { type Agent, type ClientRequest, type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { request as secureRequest } from 'node:https'

export interface ExchangeOptions {
  /** Default GET. */
  method?: string
  /** Path and query, sent as they are. Default `/`. */
  path?: string
  headers?: Record<string, string>
  body?: string | Uint8Array | undefined
  /** Milliseconds that may pass without a byte. */
  timeoutMs: number
  /** Keeps connections for the next request; without one the connection ends with the answer. */
  agent?: Agent | undefined
  /** Resolves with the status and the headers, and reads no body: it may be long, or have no end. */
  statusOnly?: boolean
  /** Accepts any certificate of an `https:` server. */
  anyCertificate?: boolean
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** UTF-8; empty with `statusOnly`. */
  body: string
}

/** Nothing came for `timeoutMs` milliseconds. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'ETIMEDOUT'

  constructor(timeoutMs: number) {
    super(`nothing came within ${timeoutMs} ms`)
  }
}

/**
 * Sends one request to `target`: `unix:/path/to.sock`, or nginx's `http://unix:/path/to.sock`, or `http://host:port` or
 * `https://host:port`. Any status is an answer.
 * @throws {TimeoutError} when nothing comes for too long
 * @throws {Error} Node's own, with its `code` and `syscall`, when there is no answer or only a part of one
 */
export function exchange(target: string, options: ExchangeOptions): Promise<Answer> {
  const { method = 'GET', path = '/', body, timeoutMs, statusOnly = false } = options
  const headers = { ...options.headers }
  if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
  const settings: RequestOptions = { method, path, headers, timeout: timeoutMs, agent: options.agent ?? false }
  return new Promise((resolve, reject) => {
    const outgoing = requestTo(target, settings, options.anyCertificate === true)
    outgoing.on('response', (incoming) => {
      const answer = { status: incoming.statusCode!, headers: incoming.headers, body: '' }
      if (statusOnly) {
        resolve(answer)
        outgoing.destroy()
        return
      }
      incoming.setEncoding('utf8').on('data', (part: string) => {
        answer.body += part
      })
      incoming.on('end', () => resolve(answer)).on('error', reject)
    })
    outgoing.on('timeout', () => outgoing.destroy(new TimeoutError(timeoutMs)))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function requestTo(target: string, settings: RequestOptions, anyCertificate: boolean): ClientRequest {
  const [, socketPath] = /^(?:http:\/\/)?unix:(.+)$/.exec(target) ?? []
  if (socketPath !== undefined) return request({ ...settings, socketPath })
  const url = new URL(target)
  if (url.protocol !== 'https:') return request(url, settings)
  return secureRequest(url, { ...settings, rejectUnauthorized: !anyCertificate })
}
