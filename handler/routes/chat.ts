// The chat: rooms are topics, and names are the state of a connection.
import { createHash } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'

/** In the list that a newcomer gets; the gateway gives no more at once. */
const MOST_PEOPLE = 1000
const VISIBLE = '[\\p{L}\\p{N}\\p{P}\\p{S}]'
const Room = Type.Object({ room: Type.String({ pattern: '^[\\p{L}\\p{N}-]{1,32}$' }) })
const Join = Type.Object({ join: Type.String({ minLength: 1, maxLength: 32, pattern: VISIBLE }) })
const Say = Type.Object({
  say: Type.String({ minLength: 1, maxLength: 2000, pattern: VISIBLE }),
  ref: Type.Optional(Type.String({ maxLength: 64 })),
})

const Somebody = { id: Type.String(), name: Type.String() }
const Fact = { ...Somebody, time: Type.String({ format: 'date-time' }) }
const Welcome = Type.Object({
  type: Type.Literal('welcome'),
  ...Fact,
  people: Type.Union([Type.Array(Type.Object(Somebody)), Type.Null()]),
})
const Said = Type.Object({
  type: Type.Literal('said'),
  ...Fact,
  text: Type.String(),
  ref: Type.Optional(Type.String()),
})
const Moved = Type.Object({ type: Type.Union([Type.Literal('joined'), Type.Literal('left')]), ...Fact })

/**
 * A chat that remembers nothing: a connection's name is its `reply.state`, who is here is who subscribes to the room's topic.
 *
 *   {"join":"Ada"}              is answered with {"type":"welcome","id","name","people":[{"id","name"}]}, the others get
 *                               {"type":"joined","id","name","time"}. `people` is null while nobody can tell.
 *   {"say":"hi","ref":"1"}      goes to everybody, and back as the answer: {"type":"said","id","name","text","ref","time"}
 *   the socket closes           the others get {"type":"left","id","name","time"}, perhaps twice
 *
 * `open` subscribes and `join` lists, so whoever comes in between is either in the list or announced, or both.
 * A connection that breaks has two minutes to come back, and nobody notices: only then, the socket closes.
 * There are no accounts: who takes a name is that person, in as many tabs as they like.
 */
export default async function chat(instance: FastifyInstance): Promise<void> {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>()
  app.ws('/ws/chat/:room', {
    schema: {
      summary: 'A chat that remembers nothing',
      params: Room,
      message: Type.Union([Join, Say]),
      reply: Type.Union([Welcome, Said]),
      push: Type.Union([Said, Moved]),
    },
    session: '2m',
    open(request, reply) {
      reply.subscribe(topicOf(request.params.room))
    },
    async message(request, reply) {
      const { event, body } = request
      const topic = topicOf(request.params.room)
      const facts = { id: publicId(event.connectionId), time: event.time.toISOString() }
      if ('join' in body) {
        const name = body.join.trim()
        const people = await peopleIn(app, topic, request)
        reply.state = reply.user = name
        reply.publish(topic, { type: 'joined', name, ...facts }, { except: 'self' })
        return { type: 'welcome' as const, name, people, ...facts }
      }
      if (reply.state === null) throw Object.assign(new Error('join first: {"join":"your name"}'), { statusCode: 409 })
      const said = { type: 'said' as const, name: reply.state, text: body.say, ref: body.ref, ...facts }
      reply.publish(topic, said, { except: 'self' })
      return said
    },
    close({ event, params }, reply) {
      if (reply.state === null) return
      const left = { type: 'left', name: reply.state, id: publicId(event.connectionId), time: event.time.toISOString() }
      reply.publish(topicOf(params.room), left, { except: 'self' })
    },
  })
}

function topicOf(room: string): string {
  return `chat:${room}`
}

/** Whoever knows a connection's id and may push can write to it, so the others only learn what was made from it. */
function publicId(connectionId: string): string {
  return createHash('sha256').update(connectionId).digest('base64url').slice(0, 16)
}

async function peopleIn(
  app: FastifyInstance,
  topic: string,
  request: FastifyRequest,
): Promise<{ id: string; name: string }[] | null> {
  try {
    const { connections } = await app.gateway.topic(topic, { limit: MOST_PEOPLE })
    return connections.flatMap(({ id, user }) => (user ? [{ id: publicId(id), name: user }] : []))
  } catch (error) {
    request.log.warn({ err: error, topic }, 'the gateway cannot be asked who is here')
    return null
  }
}
