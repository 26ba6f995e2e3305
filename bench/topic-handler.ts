/**
 * The handler of the sections push and subscribed, where every socket subscribes to one topic, and of the section cache,
 * where messages come back.
 * HANDLER_LISTEN=unix:/path sets where it listens.
 */
import Fastify from 'fastify'
import websocket from '../plugin/index.ts'

const app = Fastify()
await app.register(websocket)
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
await app.listen({ path: process.env.HANDLER_LISTEN!.replace('unix:', '') })
process.on('disconnect', () => process.exit())
