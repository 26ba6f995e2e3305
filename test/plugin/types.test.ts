// The plugin's types: what must compile, and what must not.
import test from 'node:test'
import Fastify, { type FastifyTypeProvider } from 'fastify'
import { Type } from 'typebox'
import { buildApp } from './support.ts'

/** Compiles only when both types are the same; `any` is the same only as itself. */
function same<A, B>(
  ..._proof: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : ['not the same type']
): void {}

// The compiler is what tests here: every line under @ts-expect-error must not compile, everything else must.
test('a schema types what the handlers see and return', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/typed/:room', {
    schema: {
      params: Type.Object({ room: Type.String() }),
      querystring: Type.Object({ lang: Type.Optional(Type.String()) }),
      message: Type.Object({ text: Type.String() }),
      reply: Type.Object({ id: Type.Integer() }),
    },
    onRequest: async (request, reply) => {
      if (request.headers.origin === 'bad') return reply.code(403).send()
    },
    config: {},
    async open(request, reply) {
      same<typeof request.params, { room: string }>()
      same<typeof request.query, { lang?: string }>()
      same<typeof request.event.state, string | null>()
      reply.subscribe(request.params.room).frame({ any: 'thing' })
      reply.state = 'x'
      // @ts-expect-error state is a string or null
      reply.state = 7
      // @ts-expect-error no such parameter
      request.params.rom
      // @ts-expect-error a handshake has no frame
      request.body.text
    },
    async message(request, reply) {
      same<typeof request.body, { text: string }>()
      same<typeof request.params, { room: string }>()
      same<typeof this.prefix, string>()
      reply.publish('a', request.body, { except: 'self' })
      // @ts-expect-error nobody else can be left out
      reply.publish('a', 'b', { except: 'me' })
      // @ts-expect-error a topic is a string
      reply.subscribe(7)
      // @ts-expect-error no such field
      request.body.txt
      return { id: 1 }
    },
    close(request) {
      same<typeof request.event.type, 'open' | 'message' | 'alarm' | 'detach' | 'resume' | 'close' | 'timer'>()
      same<typeof request.event.closeCode, number | null>()
    },
    alarm(request, reply) {
      same<typeof request.params, { room: string }>()
      // @ts-expect-error an alarm has no frame
      request.body.text
      // @ts-expect-error seconds are a number
      t.assert.throws(() => reply.alarm('30'))
      reply.alarm(30).alarm(0)
      return { id: 1 }
    },
    session: { keep: '2m', check: true },
    resume(request, reply) {
      same<typeof request.params, { room: string }>()
      reply.user = request.params.room
    },
    timer(request, reply) {
      same<typeof request.event, import('../../plugin/index.ts').TimerEvent>()
      // @ts-expect-error it belongs to no socket
      request.event.connectionId
      reply.publish('news', { at: request.event.time })
    },
  })
})

test('what message returns must fit schema.reply', async (t) => {
  const app = await buildApp(t)
  const schema = { reply: Type.Object({ id: Type.Integer() }) }
  app.ws('/ws/nothing', { schema, message() {} })
  app.ws('/ws/sync', { schema, message: () => ({ id: 1 }) })
  app.ws('/ws/sent', { schema, message: async (_request, reply) => reply.code(422).send({ oops: true }) })
  // @ts-expect-error id is a number, of an alarm too
  app.ws('/ws/late', { schema, alarm: () => ({ id: 'one' }) })
  // @ts-expect-error id is a number
  app.ws('/ws/wrong', { schema, message: async () => ({ id: 'one' }) })
  // @ts-expect-error id is missing
  app.ws('/ws/missing', { schema, message: () => ({}) })
})

test('without schema.message the body is the frame', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    message(request) {
      same<typeof request.body, string | Buffer>()
      same<typeof request.params, unknown>()
      // @ts-expect-error a frame has no fields
      request.body.text
      return request.body
    },
  })
})

test('misspelt options and handlers do not compile', async (t) => {
  const app = await buildApp(t)
  // @ts-expect-error no such event
  app.ws('/ws/a', { mesage: async () => {} })
  // @ts-expect-error the frame's schema is called message
  t.assert.throws(() => app.ws('/ws/b', { schema: { body: Type.Object({}) } }))
})

test('any type provider infers', async (t) => {
  interface Reversed extends FastifyTypeProvider {
    validator: this['schema'] extends { as: infer T } ? { got: T } : unknown
    serializer: this['schema'] extends { as: infer T } ? { gave: T } : unknown
  }
  const plain = await buildApp(t)
  const app = plain.withTypeProvider<Reversed>()
  app.ws('/ws/x', {
    schema: { message: { as: 'text' }, reply: { as: 7 } },
    validatorCompiler: () => () => true,
    serializerCompiler: () => JSON.stringify,
    message(request) {
      same<typeof request.body, { got: 'text' }>()
      return { gave: 7 as const }
    },
  })
  // @ts-expect-error the provider says that an answer gave 7
  app.ws('/ws/y', { schema: { reply: { as: 7 } }, message: () => ({ gave: 8 }) })
})

test('an app without a type provider has unknown where a schema would say more', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register((await import('../../plugin/index.ts')).default)
  app.ws('/ws/x', {
    schema: { message: { type: 'object' } },
    message(request) {
      same<typeof request.body, unknown>()
      return request.event.number
    },
  })
  app.get('/', (request) => {
    same<typeof request.event, import('../../plugin/index.ts').SocketEvent | undefined>()
  })
})
