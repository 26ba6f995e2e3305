/**
 * The handler of the sections push and subscribed: every socket subscribes to one topic.
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
await app.listen({ path: process.env.HANDLER_LISTEN!.replace('unix:', '') })
process.on('disconnect', () => process.exit())
