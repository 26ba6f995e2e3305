/**
 * The handler of sections that need more routes than the shipped one has: a topic for all sockets, messages that come
 * back as text or JSON, and streams.
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
const Message = {
  type: 'object',
  required: ['room', 'text', 'ref', 'to'],
  additionalProperties: false,
  properties: {
    room: { type: 'string', maxLength: 32 },
    text: { type: 'string', minLength: 1, maxLength: 2000 },
    ref: { type: 'integer', minimum: 0 },
    to: { type: 'array', items: { type: 'string' }, maxItems: 10 },
  },
}
app.ws('/ws/schema', {
  schema: { message: Message, reply: Message },
  message: (request) => request.body,
})
app.ws('/ws/json', { message: (request) => JSON.parse(String(request.body)) })
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
