/**
 * A socket without `app.ws`: a route like any other, which the gateway calls for every event. `ce-type` names it.
 * Its answer to open asks for messages as forms, so a page may send `name=Ada&drink=tea`.
 */
import type { FastifyInstance } from 'fastify'

export default async function form(app: FastifyInstance): Promise<void> {
  app.post('/ws/form', async (request, reply) => {
    switch (request.headers['ce-type']) {
      case 'framegate.open':
        reply.header('ws-text', 'form')
        return reply.send()
      case 'framegate.message':
        return { status: 'success', response: 'received', payload: request.body }
      default:
        return reply.send()
    }
  })
}
