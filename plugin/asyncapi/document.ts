// An AsyncAPI 3.0 document of an app's sockets (asyncapi.com/docs/reference/specification/v3.0.0).
import type { SocketSchema } from '../websocket/route-types.ts'
import { type ChannelPath, channelPath } from './channel-path.ts'
import { nameOfShared, placeSchema, propertiesOf, type SharedSchemas } from './schemas.ts'
import type { DescribedSocket } from './sockets.ts'

type Json = Record<string, unknown>

/** What a document holds besides the sockets. */
export interface AsyncApiOptions {
  info: { title: string; version: string; description?: string; [name: string]: unknown }
  /** Where clients reach the gateway: `{ public: { host: 'example.com', protocol: 'wss' } }`. */
  servers?: Record<string, { host: string; protocol: string; [name: string]: unknown }>
}

export interface AsyncApiDocument {
  asyncapi: '3.0.0'
  info: AsyncApiOptions['info']
  servers?: NonNullable<AsyncApiOptions['servers']>
  channels: Record<string, Json>
  operations: Record<string, Json>
  components: { messages: Record<string, Json>; schemas: Json }
}

const TEXT = 'text/plain; charset=utf-8'
const BINARY = 'application/octet-stream'
const JSON_TYPE = 'application/json'

/** In place of an answer, from the gateway or from the route (docs/protocol.md, "Frames in place of an answer"). */
const ERROR = {
  title: 'An error in place of an answer',
  contentType: JSON_TYPE,
  payload: {
    type: 'object',
    required: ['statusCode', 'message'],
    properties: { statusCode: { type: 'integer' }, error: { type: 'string' }, message: { type: 'string' } },
  },
}

/** Frames of a direction that has no schema. */
const ANY: Record<string, Json> = {
  text: { title: 'A text frame', contentType: TEXT, payload: { type: 'string' } },
  binary: { title: 'A binary frame', contentType: BINARY, payload: { type: 'string', format: 'binary' } },
}

/** Describes the sockets. A path with several handlers, for versions or hosts, is one channel for each. */
export function documentOf(sockets: readonly DescribedSocket[], options: AsyncApiOptions): AsyncApiDocument {
  const channels: Record<string, Json> = {}
  const operations: Record<string, Json> = {}
  const schemas: Json = {}
  for (const socket of sockets) {
    const path = channelPath(socket.path)
    const shared = socket.app.getSchemas()
    const id = freeId(path.id, channels)
    addShared(schemas, shared)
    channels[id] = channelOf(socket, { path, place: `#/channels/${id}`, shared })
    addOperations(operations, id, socket)
  }
  const { info, servers } = options
  const components = { messages: { error: ERROR }, schemas }
  return { asyncapi: '3.0.0', info, ...(servers && { servers }), channels, operations, components }
}

function freeId(id: string, taken: object): string {
  let free = id
  for (let count = 2; free in taken; count++) free = `${id}-${count}`
  return free
}

function addShared(schemas: Json, shared: SharedSchemas): void {
  for (const [id, schema] of Object.entries(shared)) {
    const name = nameOfShared(id)
    schemas[name] ??= placeSchema(schema, `#/components/schemas/${name}`, shared)
  }
}

type Place = { path: ChannelPath; place: string; shared: SharedSchemas }

function channelOf({ schema, takesMessages }: DescribedSocket, { path, place, shared }: Place): Json {
  const parameters = parametersOf(path, propertiesOf(schema.params))
  const messages: Record<string, Json> = { error: { $ref: '#/components/messages/error' } }
  for (const [name, title] of Object.entries(TITLES)) {
    if (name === 'message' && !takesMessages) continue
    const payload = schema[name as keyof typeof TITLES]
    if (payload !== undefined)
      messages[name] = {
        title,
        contentType: JSON_TYPE,
        payload: placeSchema(payload, `${place}/messages/${name}/payload`, shared),
      }
    else if (name !== 'push') Object.assign(messages, ANY)
  }
  return {
    address: path.address,
    ...(schema.summary !== undefined && { title: schema.summary }),
    ...(schema.description !== undefined && { description: schema.description }),
    ...(parameters && { parameters }),
    messages,
    bindings: { ws: bindingOf(schema, `${place}/bindings/ws`, shared) },
  }
}

const TITLES = {
  message: 'A message of the client',
  reply: 'An answer',
  push: 'A frame that topics and pushes bring',
} as const

/** AsyncAPI 3.0 describes values of parameters only by these fields; the whole schema is an extension. */
function parametersOf({ parameters }: ChannelPath, schemas: Record<string, Json>): Json | undefined {
  if (parameters.length === 0) return undefined
  const entries = parameters.map((name) => {
    const schema = JSON.parse(JSON.stringify(schemas[name] ?? null)) as Json | null
    const { description, default: usual, enum: values } = schema ?? {}
    const parameter = {
      ...(description !== undefined && { description }),
      ...(usual !== undefined && { default: String(usual) }),
      ...(Array.isArray(values) && { enum: values.map(String) }),
      ...(schema && { 'x-schema': schema }),
    }
    return [name, parameter]
  })
  return Object.fromEntries(entries)
}

/** The handshake: its query and headers. */
function bindingOf({ querystring, headers }: SocketSchema, place: string, shared: SharedSchemas): Json {
  const part = (name: string, schema: unknown): Json =>
    Object.keys(propertiesOf(schema)).length > 0
      ? { [name]: { type: 'object', ...(placeSchema(schema, `${place}/${name}`, shared) as Json) } }
      : {}
  return { method: 'GET', ...part('query', querystring), ...part('headers', headers), bindingVersion: '0.1.0' }
}

/** From the side of the app: it receives messages and replies, and it sends what comes without a question. */
function addOperations(operations: Record<string, Json>, id: string, socket: DescribedSocket): void {
  const { schema, takesMessages, streams } = socket
  const channel = { $ref: `#/channels/${id}` }
  const refs = (names: string[]): Json[] => names.map((name) => ({ $ref: `#/channels/${id}/messages/${name}` }))
  const framesOf = (name: 'message' | 'reply'): string[] => (schema[name] === undefined ? Object.keys(ANY) : [name])
  if (takesMessages) {
    operations[`${id}.message`] = {
      action: 'receive',
      channel,
      messages: refs(framesOf('message')),
      reply: {
        channel,
        messages: refs([...framesOf('reply'), 'error']),
        ...(streams && { 'x-framegate-stream': true }), // any number of answers to one message
      },
    }
  }
  operations[`${id}.send`] = {
    action: 'send',
    channel,
    messages: refs([...framesOf('reply'), ...(schema.push === undefined ? [] : ['push']), 'error']),
  }
}
