/**
 * The smallest socket: every frame comes back as it went, byte for byte.
 * Without a schema `request.body` is the frame: a string if it was text, a Buffer if it was binary; and a string
 * that is returned goes out as text, a Buffer as binary.
 */
import type { FastifyInstance } from 'fastify'

export default async function echo(app: FastifyInstance): Promise<void> {
  app.ws('/ws/echo', {
    message(request) {
      return request.body
    },
  })
}
