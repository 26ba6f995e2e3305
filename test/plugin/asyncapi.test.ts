/** `app.asyncapi`: what it says of each socket, checked against the official JSON schema of AsyncAPI 3.0. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import specs from '@asyncapi/specs'
import { Ajv } from 'ajv'
import { Type } from 'typebox'
import { build } from '../../handler/app.ts'
import { channelPath } from '../../plugin/asyncapi/channel-path.ts'
import type { AsyncApiDocument, AsyncApiOptions } from '../../plugin/index.ts'
import { buildApp } from './support.ts'

const ABOUT: AsyncApiOptions = {
  info: { title: 'test', version: '1.0.0' },
  servers: { public: { host: 'example.com', protocol: 'wss' } },
}

const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile<any>(
  specs.schemasWithoutId['3.0.0'] as object,
)

/** The value to which a reference leads. */
function at(document: object, ref: string): unknown {
  assert.match(ref, /^#(\/|$)/)
  const steps = ref.slice(2).split('/').filter(Boolean)
  return steps.reduce<any>((value, step) => value?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], document)
}

/** Fails when the document is not valid, or a reference leads nowhere. Gives it as JSON would. */
function check(document: AsyncApiDocument): any {
  const plain: any = JSON.parse(JSON.stringify(document))
  assert.ok(validate(plain) === true, JSON.stringify(validate.errors?.slice(0, 3)))
  for (const [, ref] of JSON.stringify(plain).matchAll(/"\$ref":"([^"]*)"/g))
    assert.notEqual(at(plain, ref!), undefined, `${ref} leads somewhere`)
  for (const operation of Object.values<any>(plain.operations))
    for (const { $ref } of [...operation.messages, ...(operation.reply?.messages ?? [])])
      assert.ok($ref.startsWith(`${operation.channel.$ref}/messages/`), 'messages are those of the channel')
  return plain
}

/** The names of the messages in a list of references. */
function names(list: { $ref: string }[]): string[] {
  return list.map(({ $ref }) => $ref.split('/').at(-1)!)
}

test('the sockets of the included app', async () => {
  const app = await build({ logLevel: 'silent', maxMessageBytes: 1024 })
  await app.ready()
  const { channels, operations, servers } = check(app.asyncapi(ABOUT))
  await app.close()
  assert.deepEqual(servers, ABOUT.servers)
  assert.deepEqual(Object.keys(channels), ['ws.echo', 'ws.time', 'ws.chat.room'])
  const chat = channels['ws.chat.room']
  assert.equal(chat.address, '/ws/chat/{room}')
  assert.equal(chat.title, 'A chat that remembers nothing')
  assert.equal(chat.parameters.room['x-schema'].pattern, '^[\\p{L}\\p{N}-]{1,32}$')
  assert.deepEqual(Object.keys(chat.messages), ['error', 'message', 'reply', 'push'])
  assert.deepEqual(Object.keys(chat.messages.message.payload.anyOf[1].properties), ['say', 'ref'])
  const { action, messages, reply } = operations['ws.chat.room.message']
  assert.deepEqual([action, names(messages), names(reply.messages)], ['receive', ['message'], ['reply', 'error']])
  const send = operations['ws.chat.room.send']
  assert.deepEqual([send.action, names(send.messages)], ['send', ['reply', 'push', 'error']])
  assert.deepEqual(names(operations['ws.echo.message'].messages), ['text', 'binary'])
})

test('parameters, query, headers, streams and sockets that take no messages', async (t) => {
  const app = await buildApp(t)
  const token = Type.String()
  app.ws('/ws/:kind(^a(b|c)$)/list-:page.json/*', {
    schema: {
      params: Type.Object({
        kind: Type.Enum(['ab', 'ac'], { description: 'which', default: 'ab' }),
        page: Type.Integer(),
      }),
      querystring: Type.Object({ lang: Type.String() }),
      headers: Type.Object({ authorization: token }),
      message: Type.Object({ ask: Type.String() }),
      reply: Type.Object({ token }),
      description: 'All of it',
    },
    async *message() {
      yield { token: 'a' }
    },
  })
  app.ws('/ws/ticks', { schema: { push: Type.Integer() }, open() {} })
  app.ws('/ws/timer', { timer() {} })
  const { channels, operations } = check(app.asyncapi(ABOUT))
  const [id, ...others] = Object.keys(channels)
  assert.deepEqual(others, ['ws.ticks'], 'a timer is no socket')
  const channel = channels[id!]
  assert.equal(channel.address, '/ws/{kind}/list-{page}.json/{wildcard}')
  const { kind, page, wildcard } = channel.parameters
  assert.deepEqual([kind.description, kind.default, kind.enum], ['which', 'ab', ['ab', 'ac']])
  assert.deepEqual([page['x-schema'].type, wildcard], ['integer', {}])
  assert.equal(channel.description, 'All of it')
  assert.deepEqual(Object.keys(channel.bindings.ws.query.properties), ['lang'])
  assert.deepEqual(Object.keys(channel.bindings.ws.headers.properties), ['authorization'])
  assert.equal(operations[`${id}.message`].reply['x-framegate-stream'], true)
  assert.equal(operations['ws.ticks.message'], undefined)
  assert.deepEqual(names(operations['ws.ticks.send'].messages), ['text', 'binary', 'push', 'error'])
})

test('schemas that are shared, that refer to themselves, and sockets of plugins with a prefix', async (t) => {
  const app = await buildApp(t)
  app.addSchema({ $id: 'http://example.com/user', type: 'object', properties: { name: { type: 'string' } } })
  await app.register(
    async (part) => {
      part.addSchema({ $id: 'tree', type: 'object', properties: { left: { $ref: '#' }, right: { $ref: 'tree#' } } })
      const definitions = { id: { type: 'integer' } }
      part.ws('/', {
        schema: {
          message: { $ref: 'tree#' },
          reply: { type: 'object', definitions, properties: { id: { $ref: '#/definitions/id' } } },
          push: { $ref: 'http://example.com/user#/properties/name' },
        },
        message: () => ({ id: 1 }),
      })
      part.ws('/b', { message: () => 'b' })
    },
    { prefix: '/ws/a' },
  )
  app.ws('/ws/a.b', { message: () => 'c' })
  await app.ready()
  const { channels, components } = check(app.asyncapi(ABOUT))
  assert.deepEqual(
    Object.entries<any>(channels).map(([id, { address }]) => [id, address]),
    [
      ['ws.a', '/ws/a'],
      ['ws.a.b', '/ws/a/b'],
      ['ws.a.b-2', '/ws/a.b'],
    ],
  )
  const { messages } = channels['ws.a']
  assert.equal(messages.message.payload.$ref, '#/components/schemas/tree')
  assert.equal(messages.push.payload.$ref, '#/components/schemas/http_example.com_user/properties/name')
  assert.equal(messages.reply.payload.properties.id.$ref, '#/channels/ws.a/messages/reply/payload/definitions/id')
  assert.equal(components.schemas.tree.properties.left.$ref, '#/components/schemas/tree')
})

test('an app serves its document where it likes', async (t) => {
  const app = await buildApp(t)
  app.get('/asyncapi.json', () => app.asyncapi(ABOUT))
  app.ws('/ws/later', { message: () => 'x' })
  const answer = await app.inject('/asyncapi.json')
  assert.deepEqual(Object.keys(check(answer.json()).channels), ['ws.later'])
})

test('paths of Fastify as addresses', () => {
  const addresses: Record<string, string> = {
    '/': '/',
    '/a/:b': '/a/{b}',
    '/a/:b?': '/a/{b}',
    '/:hour(^\\d{2})h:minute(^(\\d|\\))+)m': '/{hour}h{minute}m',
    '/:from-:to': '/{from}-{to}',
    '/a::b': '/a:b',
    '/files/*': '/files/{wildcard}',
  }
  for (const [path, address] of Object.entries(addresses)) assert.equal(channelPath(path).address, address)
})
