/**
 * The handler of the sections push and subscribed, where every socket subscribes to one topic, and of the sections cache
 * and signed, where messages come back, and of the section streams.
 * HANDLER_LISTEN=unix:/path sets where it listens. With HANDLER_SECRET it verifies signatures.
 */
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import websocket from '../plugin/index.ts'

const app = Fastify()
const secret = process.env.HANDLER_SECRET
await app.register(websocket, { ...(secret && { secret }) })
app.ws('/ws/echo', {
  open: (_request, reply) => {
    reply.subscribe('bench')
  },
})
app.ws('/ws/plain', { message: (request) => request.body })
app.ws('/ws/cached', {
  message: (request, reply) => {
    reply.header('cache-control', 'public, max-age=1')
    return request.body
  },
})
/** Ten words a second until the client leaves. */
app.ws('/ws/stream', {
  async *message(_request, reply) {
    while (!reply.signal.aborted) {
      yield 'word '
      await delay(100)
    }
  },
})
/** The time of the first frame, on the clock of all processes of this machine, in ns. The stream goes on for a while. */
app.ws('/ws/first', {
  async *message() {
    yield String(process.hrtime.bigint())
    await delay(10)
    yield 'end'
  },
})
await app.listen({ path: process.env.HANDLER_LISTEN!.replace('unix:', '') })
process.on('disconnect', () => process.exit())
