// Takes batches in front of Fastify, and turns events away while the app closes.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Verifier } from '../events/signature.ts'
import { EventHeader } from '../headers.ts'
import { answerBatch, type BatchApp, isBatch } from './batch.ts'
import { turnAway } from './refusal.ts'

/** How long kept-alive connections may bring requests, and get `connection: close`, before idle ones are closed. */
const LAST_CALL_MS = 100

const ONE_SECRET =
  'secret must be the same wherever the app registers framegate: a batch has one signature for events of all its parts'

/**
 * Sits in front of a server's own request listener, below Fastify's hooks: an authentication hook would refuse a batch
 * as a whole, but it can check each of its events. Once the app closes, events that still arrive are answered with
 * 503 and `retry-after: 0`: nothing was done, and the gateway may try again.
 */
class RequestGate {
  readonly #app: FastifyInstance
  readonly #batchApp: BatchApp
  readonly #servers = new Set<Server>()
  readonly #open = new Set<ServerResponse>()
  #closed: Promise<void> | undefined

  constructor(app: FastifyInstance) {
    this.#app = app
    this.#batchApp = { routing: app.routing, log: app.log, closing: () => this.#closed !== undefined }
  }

  /**
   * Refuses batches that are not signed.
   * @throws {TypeError} if another part of the app has another secret: a batch may have events for both
   */
  require(verifier: Verifier): void {
    if (this.#batchApp.verifier && !this.#batchApp.verifier.equals(verifier)) throw new TypeError(ONE_SECRET)
    this.#batchApp.verifier = verifier
  }

  /** Puts itself in front of the request listeners that the server has. */
  guard(server: Server): void {
    if (this.#servers.has(server)) return
    this.#servers.add(server)
    const listeners = server.listeners('request')
    server.removeAllListeners('request')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#track(response)
      if (isBatch(request)) answerBatch(this.#batchApp, request, response)
      else if (this.#closed && isEvent(request)) this.#turnAway(request, response)
      else for (const listener of listeners) listener.call(server, request, response)
    })
  }

  /** Turns events away from now on. Resolves when those that were on their way have their answer. */
  close(): Promise<void> {
    this.#closed ??= this.#lastCall()
    return this.#closed
  }

  async #lastCall(): Promise<void> {
    for (const response of this.#open) if (!response.headersSent) response.setHeader('connection', 'close')
    if (this.#app.server.listening) await delay(LAST_CALL_MS)
  }

  #track(response: ServerResponse): void {
    this.#open.add(response)
    response.once('close', () => {
      this.#open.delete(response)
      // server.close() closes only the connections that are idle when it is called.
      if (this.#closed) for (const server of this.#servers) if (!server.listening) server.closeIdleConnections()
    })
  }

  /** Waits for the whole request: a connection that closes over unread bytes may lose the answer too. */
  #turnAway(request: IncomingMessage, response: ServerResponse): void {
    request.resume()
    request.on('end', () => turnAway(response))
  }
}

/** The gate of the app's server: one, even when several parts of the app register the plugin. */
export function requestGateOf(app: FastifyInstance): RequestGate {
  let gate = gates.get(app.server)
  if (!gate) gates.set(app.server, (gate = new RequestGate(app)))
  return gate
}
const gates = new WeakMap<Server, RequestGate>()

function isEvent(request: IncomingMessage): boolean {
  return request.headers[EventHeader.type] !== undefined
}
