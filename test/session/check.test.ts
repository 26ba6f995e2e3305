// `ws-session: …;check`: the handler decides whether a client that comes back gets its socket.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, type Reply, startProbeHandler } from '../support/probe-handler.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack } from './support.ts'

const TEXT = { 'content-type': 'text/plain' }

/** Allows sessions, answers messages, and answers a return as a test wants. */
function checking(onResume: Reply): Reply {
  return (event, response, request) => {
    if (event.type === 'framegate.open') return void response.writeHead(204, { 'ws-session': '60;check' }).end()
    if (event.type === 'framegate.message') return void response.writeHead(200, TEXT).end(`re ${event.body}`)
    if (event.type === 'framegate.resume') return onResume(event, response, request)
    return void response.writeHead(204).end()
  }
}

type Scene = { gateway: Gateway; handler: ProbeHandler; client: SessionClient; id: string }

async function isAway({ gateway, id }: Scene): Promise<void> {
  await until('it is away', async () => (await control(gateway, 'GET', `/connections/${id}`)).json.session?.away >= 0)
}

/** One client, which has sent a message and was cut. */
async function cutClient(t: TestContext, onResume: Reply, env = {}): Promise<Scene> {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '3', HANDLER_WAIT: '1s', ...env } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, checking(onResume))
  const client = await new SessionClient(gateway.port, '/ws/a', { headers: { cookie: 'old=1' } }).dial()
  client.send('one')
  assert.equal(await client.next(), 're one')
  const [{ id }] = (await control(gateway, 'GET', '/connections')).json.connections
  const scene = { gateway, handler, client, id }
  client.cut()
  await isAway(scene)
  return scene
}

test('a client whose handler agrees comes back, and later events have its new headers', async (t) => {
  const scene = await cutClient(
    t,
    (_event, response) =>
      void response.writeHead(200, { ...TEXT, 'ws-state': 'renewed', 'set-cookie': 'fresh=1' }).end('hello again'),
  )
  const { gateway, handler, client, id } = scene
  await control(gateway, 'POST', `/connections/${id}`, 'pushed')
  await client.dial({ headers: { cookie: 'new=2' } })
  assert.equal(client.first.resumed, true)
  assert.equal(client.raw.headers['set-cookie'], 'fresh=1')
  assert.equal(await client.next(), 'pushed')
  assert.equal(await client.next(), 'hello again')
  const resume = await handler.seen('resume')
  assert.equal(resume.headers.cookie, 'new=2')
  assert.equal(resume.headers['ce-connectionid'], id)
  client.send('two')
  assert.equal(await client.next(), 're two')
  const message = await handler.seen('message', ({ body }) => String(body) === 'two')
  assert.equal(message.headers.cookie, 'new=2')
  assert.equal(message.headers['ce-state'], 'renewed')
  assert.equal(Number(message.headers['ce-eventnumber']), Number(resume.headers['ce-eventnumber']) + 1)
})

test('a refusal ends the session, and is what its client gets', async (t) => {
  const { gateway, handler, client } = await cutClient(
    t,
    (_event, response) => void response.writeHead(401, { ...TEXT, 'www-authenticate': 'Bearer' }).end('sign in'),
  )
  const raw = rawHandshake(gateway.port, client.target, { headers: { cookie: 'expired=1' } })
  const { status, headers } = await raw.response()
  assert.deepEqual([status, headers['www-authenticate'], await raw.body()], [401, 'Bearer', 'sign in'])
  const close = await handler.seen('close')
  assert.equal(close.headers['ce-closecode'], '1008')
  assert.equal(close.headers.cookie, 'old=1')
  assert.match(decodeURIComponent(String(close.headers['ce-closereason'])), /refused.*401/)
  await client.dial()
  assert.equal(client.first.resumed, false)
})

test('a close code of the handler is what its client gets', async (t) => {
  const { handler, client } = await cutClient(
    t,
    (_event, response) => void response.writeHead(204, { 'ws-close': '4401 sign%20in' }).end(),
  )
  await client.dial()
  assert.equal(client.first.session, null)
  assert.deepEqual(await client.raw.closeFrame(), { code: 4401, reason: 'sign in' })
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '4401')
})

test('a session stays while no handler can be reached', async (t) => {
  const { gateway, handler, client } = await cutClient(t, (_event, response) => void response.writeHead(204).end())
  await handler.stop()
  const raw = rawHandshake(gateway.port, client.target)
  const { status, headers } = await raw.response()
  assert.deepEqual([status, headers['retry-after']], [503, '5'])
  await handler.start()
  await client.dial()
  assert.equal(client.first.resumed, true)
})

test('of two returns at one time, one is decided and the other is sent away', async (t) => {
  let answer = (): void => {}
  const { gateway, handler, client } = await cutClient(t, (_event, response) => {
    answer = () => response.writeHead(204).end()
  })
  const dialed = client.dial()
  await handler.seen('resume')
  const raw = rawHandshake(gateway.port, client.target)
  const { status, headers } = await raw.response()
  assert.deepEqual([status, headers['retry-after']], [503, '1'])
  answer()
  await dialed
  assert.equal(client.first.resumed, true)
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.resume').length, 1)
})

test('a client that leaves while its return is decided can come back again', async (t) => {
  const answers: Array<() => void> = []
  const scene = await cutClient(t, (_event, response) => {
    answers.push(() => response.writeHead(204).end())
  })
  const { gateway, handler, client } = scene
  const raw = rawHandshake(gateway.port, client.target)
  await handler.seen('resume')
  raw.socket.destroy()
  answers[0]!()
  const dialed = comeBack(client) // 503 while the first return is not over
  await until('the second return', () => answers.length === 2)
  answers[1]!()
  await dialed
  assert.equal(client.first.resumed, true)
})

test('the event of a return waits for the one in flight', async (t) => {
  let answer = (): void => {}
  const { handler, client } = await cutClient(t, (_event, response) => void response.writeHead(204).end())
  await client.dial()
  handler.answer((event, response) => {
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    answer = () => response.writeHead(200, TEXT).end('late')
  })
  client.send('slow')
  await handler.seen('message', ({ body }) => String(body) === 'slow')
  client.cut()
  const dialed = client.dial()
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.resume').length, 1)
  answer()
  await dialed
  assert.equal(client.first.resumed, true)
  assert.equal(client.first.received, 2)
  assert.equal(await client.next(), 'late')
})
