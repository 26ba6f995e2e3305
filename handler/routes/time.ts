/**
 * JSON in, JSON out: {"zone":"Europe/Berlin"} is answered with {"zone":"Europe/Berlin","time":"20/11/2026, 11:00:00"}.
 * `schema.message` describes what a frame must hold, and types `request.body`. A frame that does not fit never gets to the
 * handler; the client is answered with what is wrong with it, and the socket stays open.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'

export default async function time(instance: FastifyInstance): Promise<void> {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>()
  app.ws('/ws/time', {
    schema: {
      message: Type.Object({ zone: Type.String({ minLength: 1 }) }),
      reply: Type.Object({ zone: Type.String(), time: Type.String() }),
    },
    async message(request, reply) {
      const { zone } = request.body
      try {
        return { zone, time: new Date().toLocaleString('en-GB', { timeZone: zone }) }
      } catch {
        return reply
          .code(422)
          .send({ statusCode: 422, error: 'Unprocessable Entity', message: `no time zone is called ${zone}` })
      }
    },
  })
}
