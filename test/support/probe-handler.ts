/**
 * A handler that a test holds in its hand: a bare HTTP server that notes every event and answers as it is told.
 * It takes no batches unless told to; `test/support/app.ts` is the one with the plugin.
 */

import { rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { until } from './wait.ts'

export type SeenEvent = {
  type: string
  id: string
  url: string
  headers: IncomingMessage['headers']
  body: Buffer
  at: number
}

export type Reply = (event: SeenEvent, response: ServerResponse, request: IncomingMessage) => void | Promise<void>

export type ProbeHandler = {
  events: SeenEvent[]
  server: Server
  /** Changes how events are answered. */
  answer: (reply: Reply) => void
  /** The first event that fits, now or later. */
  seen: (type: string, fits?: (event: SeenEvent) => boolean, ms?: number) => Promise<SeenEvent>
  /** Stops listening and breaks all connections. */
  stop: () => Promise<void>
  start: () => Promise<void>
}

/** Answers as /ws/echo would: messages come back, open and close get 204. */
export const echo: Reply = (event, response) => {
  if (event.type !== 'framegate.message') return void response.writeHead(204).end()
  const binary = event.headers['content-type'] === 'application/octet-stream'
  response.writeHead(200, { 'content-type': binary ? 'application/octet-stream' : 'text/plain' }).end(event.body)
}

/** Listens on a unix socket or port; `t.after` ends it. */
export async function startProbeHandler(
  t: TestContext,
  listen: string | number,
  reply: Reply = echo,
): Promise<ProbeHandler> {
  const events: SeenEvent[] = []
  let current = reply
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const event = {
        type: String(request.headers['ce-type']),
        id: String(request.headers['ce-id']),
        url: request.url!,
        headers: request.headers,
        body: Buffer.concat(chunks),
        at: performance.now(),
      }
      events.push(event)
      void current(event, response, request)
    })
  })
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      if (typeof listen === 'string') rmSync(listen, { force: true })
      server.once('error', reject)
      server.listen(typeof listen === 'string' ? { path: listen } : { port: listen, host: '127.0.0.1' }, resolve)
    })
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  server.unref() // a test that failed must not wait for it
  await start()
  t.after(() => {
    if (server.listening) return stop()
  })
  return {
    events,
    server,
    start,
    stop,
    answer: (next) => {
      current = next
    },
    seen: (type, fits = () => true, ms = 20_000) =>
      until(`the event ${type}`, () => events.find((event) => event.type === `framegate.${type}` && fits(event)), ms),
  }
}
