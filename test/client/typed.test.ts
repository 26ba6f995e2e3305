/** The typed client: what it may send and gets has the types of the app's schemas. The compiler tests half of it here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import websocket from '../../plugin/index.ts'
import { type Client, createClient, type ErrorFrame } from '../../web/client/typed.js'
import { startGateway } from '../support/gateway.ts'

/** Compiles only when both types are the same; `any` is the same only as itself. */
function same<A, B>(
  ..._proof: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : ['not the same type']
): void {}

const Said = Type.Object({ said: Type.String(), by: Type.String() })

function addSockets(instance: FastifyInstance) {
  return instance
    .withTypeProvider<TypeBoxTypeProvider>()
    .ws('/ws/room/:room/:part(^[a-z]+$)', {
      schema: {
        params: Type.Object({ room: Type.String(), part: Type.String() }),
        querystring: Type.Object({ lang: Type.String() }),
        message: Type.Object({ say: Type.String() }),
        reply: Said,
        push: Type.Object({ joined: Type.String() }),
      },
      open: ({ params, query }, reply) => void reply.frame({ joined: `${params.room} ${params.part} ${query.lang}` }),
      message: ({ body, params }) => ({ said: body.say, by: params.room }),
    })
    .ws('/ws/count', { schema: { message: Type.Integer() }, message: ({ body }) => `${body + 1}` })
    .ws('/ws/files/*', {
      schema: { message: Type.Object({}), reply: Type.Object({ path: Type.String() }) },
      message: ({ params }) => ({ path: (params as { '*': string })['*'] }),
    })
    .ws('/ws/echo', { message: ({ body }) => body })
}

type App = ReturnType<typeof addSockets>

/** Never called: every line under @ts-expect-error must not compile, everything else must. */
export function compile(client: Client<App>) {
  const path = '/ws/room/:room/:part(^[a-z]+$)'
  const room = client.open(path, { params: { room: 'a', part: 1 }, query: { lang: 'en' }, session: true })
  room.send({ say: 'hi' })
  // @ts-expect-error no such message
  room.send({ sing: 'hi' })
  // @ts-expect-error a text
  room.send({ say: 1 })
  // @ts-expect-error frames are JSON
  room.send('hi')
  room.onframe = (frame) => {
    same<typeof frame, { said: string; by: string } | { joined: string } | ErrorFrame>()
    // @ts-expect-error it may be an error
    frame.said
  }
  same<typeof room.socket.state, 'connecting' | 'open' | 'waiting' | 'closing' | 'closed'>()
  // @ts-expect-error parameters are missing
  client.open(path)
  // @ts-expect-error one is missing
  client.open(path, { params: { room: 'a' } })
  // @ts-expect-error no such query
  client.open(path, { params: { room: 'a', part: 'b' }, query: { language: 'en' } })
  // @ts-expect-error no such socket
  client.open('/ws/nowhere')
  // @ts-expect-error its messages have no schema
  client.open('/ws/echo')
  client.open('/ws/count').send(7)
  client.open('/ws/files/*', { params: { '*': 'a/b' } })
  // @ts-expect-error without sockets there is nothing to open
  createClient<FastifyInstance>().open('/ws/count')
}

/** The next frames of a socket, as they come. */
function framesOf(socket: { onframe: ((frame: any) => void) | null }): () => Promise<unknown> {
  const frames: unknown[] = []
  let wake = (): void => {}
  socket.onframe = (frame) => {
    frames.push(frame)
    wake()
  }
  return async () => {
    while (frames.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return frames.shift()
  }
}

test('messages and frames pass as JSON, with parameters and query in the URL', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const app = Fastify({ forceCloseConnections: true })
  await app.register(websocket)
  addSockets(app)
  await app.listen({ path: gateway.handlerSocket })
  t.after(() => app.close())

  const client = createClient<App>(gateway.url)
  const room = client.open('/ws/room/:room/:part(^[a-z]+$)', {
    params: { room: 'a/b ü', part: 'b' },
    query: { lang: 'e&n' },
  })
  const next = framesOf(room)
  assert.deepEqual(await next(), { joined: 'a/b ü b e&n' })
  room.send({ say: 'hi' })
  assert.deepEqual(await next(), { said: 'hi', by: 'a/b ü' })
  room.send({ sing: 'hi' } as never)
  const error = (await next()) as ErrorFrame
  assert.deepEqual([error.statusCode, error.message], [400, "body must have required property 'say'"])

  const count = client.open('/ws/count')
  const counted = framesOf(count)
  count.send(41)
  assert.equal(await counted(), 42)
  const file = client.open('/ws/files/*', { params: { '*': 'a/b c' } })
  const files = framesOf(file)
  file.send({})
  assert.deepEqual(await files(), { path: 'a/b c' })
  for (const typed of [room, count, file]) {
    const closed = new Promise((resolve) => typed.socket.addEventListener('close', resolve))
    typed.close(4000, 'bye')
    await closed
  }
})

test('a parameter that is missing is an error', () => {
  const client = createClient<App>('http://127.0.0.1:1')
  assert.throws(
    () => client.open('/ws/room/:room/:part(^[a-z]+$)', { params: { room: 'a' } as never }),
    /needs the parameter part$/,
  )
})
