// What docs/protocol.md says of the control API, and of settings of one location, is what the gateway does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { startRedis } from '../support/redis.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { printed, runsOf, shell } from './console.ts'
import { blocks, page, rows, section } from './markdown.ts'
import { newsroom } from './newsroom.ts'

const CHAPTER = section(page('docs/protocol.md'), '## The control API')
const CODE = [
  'control/api',
  'control/access',
  'control/server',
  'control/request',
  'control/batch',
  'control/listing',
  'control/messages',
  'control/problem',
  'control/publish',
  'control/subscriptions',
  'control/idempotency',
  'push/registry',
]
  .map((name) => page(`lua/framegate/${name}.lua`))
  .join('\n')

test('the commands print what the page says, and the frames arrive', async (t) => {
  const port = await freePort()
  const environment = /^((?:\w+=\S+ )+)npm start$/m
    .exec(section(CHAPTER, '### Over TCP'))![1]!
    .trim()
    .split(' ')
    .map((pair) => pair.split('='))
  const gateway = await startGateway(t, {
    handler: false,
    env: { ...Object.fromEntries(environment), CONTROL_PORT: String(port) },
  })
  const room = await newsroom(t, gateway, port)
  const runs = blocks(CHAPTER, 'console').flatMap(({ text }) => runsOf(text))
  assert.ok(runs.length >= 20, `${runs.length} commands`)
  for (const { command, output } of runs) {
    const here = room.toGateway(command)
    assert.notEqual(here, command, `it asks the gateway: ${command}`)
    assert.deepEqual(printed(room.toPage(await shell(here))), printed(room.toPage(output)), command)
    if (/\?code=/.test(command)) await room.bob.closed
  }
  assert.deepEqual(await room.bob.closed, { code: 4001, reason: 'signed out' })
  const frames = [
    'only for Ada',
    'for all who read the news',
    'not for Bob',
    '{"text":"for everybody"}',
    Buffer.from([1, 2]),
    'order 17 is ready',
    'one',
    Buffer.from([1, 2]),
    'hello',
  ]
  for (const frame of frames) assert.deepEqual(await room.ada.next(), frame)
  assert.equal(await room.ada.ask('still Ada'), 'hello', 'and nothing besides')
})

const shape = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.slice(0, 1).map(shape)
    : value instanceof Object
      ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shape(member)]))
      : typeof value

test('the status on the page has the members of a real one', async (t) => {
  const gateway = await startGateway(t, { env: { TIMERS: '24h /ws/echo' } })
  const client = await open(`${gateway.ws}/ws/echo`)
  const { json } = await control(gateway, 'GET', '/status')
  assert.deepEqual(shape(json), shape(JSON.parse(blocks(section(CHAPTER, '### Status'), 'json')[0]!.text)))
  client.socket.terminate()
})

test('the nodes on the page have the members of real ones', async (t) => {
  const redis = await startRedis(t)
  const gateway = await startGateway(t, { env: { REDIS_URL: `redis://127.0.0.1:${redis.port}` } })
  const list = await until('the link is up', async () => {
    const { json } = await control(gateway, 'GET', '/nodes')
    return json.link.is_up && json
  })
  assert.deepEqual(shape(list), shape(JSON.parse(blocks(section(CHAPTER, '### Nodes'), 'json')[0]!.text)))
})

test('the page has every resource of the gateway, with its methods, and no others', () => {
  const written = [...CODE.matchAll(/^ {2}\{ \{ (".+?") \}, (.*) \},$/gm)].flatMap(([, path, methods]) =>
    [...methods!.matchAll(/\b([A-Z]+) = /g)].map(
      ([, method]) => `${method} /${path!.replaceAll('"', '').split(', ').join('/')}`,
    ),
  )
  const handled = [...CODE.matchAll(/\["(\/[\w.]+)"\] = \{ "([A-Z]+)",/g)].map(
    ([, path, method]) => `${method} ${path}`,
  )
  assert.ok(written.length >= 10 && handled.length === 2, `${written.length} and ${handled.length}`)
  const told = rows(section(CHAPTER, '### Requests')).map(([method, path]) => `${method} ${path}`.replaceAll('`', ''))
  assert.deepEqual(told.sort(), [...written, ...handled].sort())
})

/** Status and words of every problem that the code makes: `status` stands for those that are nginx's own. */
function problemsInCode(): Array<[string, string]> {
  const constant = (name: string): string => new RegExp(`${name} = "([^"]*)"`).exec(CODE)![1]!
  const [, tooMany] = /return nil, \("([^"]*)"\):format\(self\.max_topics/.exec(CODE)!
  const lines = CODE.replace(/\(\n\s+/g, '(').replace(/,\n\s+/g, ', ') // calls that StyLua broke into lines
  return [
    ...lines.matchAll(
      /Problem\.(?:new|members)\((\d+|status)[^,]*, \(?(?:"([^"]*)"|'([^']*)'|([A-Z]+)\)|result\.err)/g,
    ),
  ].map(([, status, double, single, name]) => [status!, double ?? single ?? (name ? constant(name) : tooMany!)])
}

test('the page has the words of every error of the control API, and no others', () => {
  const plain = (text: string): string => text.replace(/%d|\d+/g, 'N')
  /** Whether a line of the page begins with words of the code, where `%s` stands for one word. */
  const begins = (detail: string, words: string): boolean =>
    new RegExp(`^${words.replace(/[^\w ]/g, '\\$&').replace('\\%s', '\\S+')}`).test(detail)
  const made = problemsInCode()
  assert.ok(made.length >= 15, `${made.length} errors`)
  const told = rows(section(CHAPTER, '### Errors')).map(
    ([status, detail]) => [status!, detail!.replaceAll('`', '')] as [string, string],
  )
  const isSame = ([status, words]: [string, string], [other, detail]: [string, string]): boolean =>
    begins(plain(detail), plain(words)) && (status === other || status === 'status')
  assert.deepEqual(
    made.filter((problem) => !told.some((row) => isSame(problem, row))),
    [],
  )
  assert.deepEqual(
    told.filter((row) => !made.some((problem) => isSame(problem, row))),
    [],
  )
})

test('the location of docs/operating.md has its rate, and closes who is too slow', async (t) => {
  const [location] = blocks(section(page('docs/operating.md'), '## Settings of one location'), 'nginx')
  const gateway = await startGateway(t, {
    handler: false,
    locations: location!.text,
    env: { OUTBOX_BYTES: '64k', WORKERS: '1' },
  })
  const handler = await startProbeHandler(
    t,
    gateway.handlerSocket,
    (event, response) =>
      void response.writeHead(204, event.type === 'framegate.open' ? { 'ws-subscribe': 'prices' } : {}).end(),
  )
  const [fast, free] = [await open(`${gateway.ws}/ws/ticker/all`), await open(`${gateway.ws}/ws/other`)]
  for (let i = 0; i < 10; i++) fast.socket.send('x') // one of them is too many, even if there are pauses between some
  const [example] = blocks(section(page('docs/protocol.md'), '### Frames in place of an answer'), 'json').filter(
    ({ text }) => text.includes('429'),
  )
  const { retryAfter, ...frame } = await fast.json()
  const { retryAfter: about, ...told } = JSON.parse(example!.text)
  assert.deepEqual(frame, told)
  assert.ok(retryAfter > 0 && retryAfter <= 0.5 && about > 0 && about <= 0.5)
  for (let i = 0; i < 3; i++) free.socket.send('x')
  await handler.seen('message', ({ id, url }) => url === '/ws/other' && id.endsWith('/3'))

  fast.socket.pause()
  for (let dropped = 0; dropped === 0; )
    ({ dropped } = (await control(gateway, 'POST', '/topics/prices', 'x'.repeat(60_000))).json)
  fast.socket.resume()
  assert.equal((await fast.closed).code, 1013)
  assert.equal(free.socket.readyState, 1)
})
