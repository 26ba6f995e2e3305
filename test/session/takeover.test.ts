// A client comes back while its old connection still stands, or breaks in a bad moment.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { frame, rawHandshake } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack } from './support.ts'

const TEXT = { 'content-type': 'text/plain' }

type Parts = { gateway: Gateway; handler: ProbeHandler }

async function start(t: TestContext, env = {}, expect: RegExp[] = []): Promise<Parts> {
  const gateway = await startGateway(t, { handler: false, expect, env: { WORKERS: '3', ...env } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.message'
      ? void response.writeHead(200, TEXT).end(`re ${event.body}`)
      : void response.writeHead(204, event.type === 'framegate.open' ? { 'ws-session': '60' } : {}).end(),
  )
  return { gateway, handler }
}

const opens = (handler: ProbeHandler): number => handler.events.filter(({ type }) => type === 'framegate.open').length

async function idOf(gateway: Gateway): Promise<string> {
  return (await control(gateway, 'GET', '/connections')).json.connections[0].id
}

/** Connections that nginx holds for sockets: those that have ended and those that begin included. */
async function held(gateway: Gateway): Promise<number> {
  const { max_sockets, free_sockets } = await samples(gateway)
  return max_sockets! - free_sockets!
}

test('a connection whose client reads nothing ends when its client comes back over another', async (t) => {
  const { gateway } = await start(t, { SESSION_BYTES: '64m', OUTBOX_BYTES: '64m', MAX_MESSAGE_BYTES: '8m' })
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const old = client.raw
  old.socket.pause()
  const id = await idOf(gateway)
  for (let i = 0; i < 5; i++) {
    const { json } = await control(gateway, 'POST', `/connections/${id}`, String(i).repeat(4_000_000))
    assert.equal(json.delivered, 1)
  }
  await client.dial()
  assert.equal(client.first.resumed, true)
  await until('the old connection is gone', async () => (await held(gateway)) === 1)
  for (let i = 0; i < 5; i++) assert.equal(await client.next(), String(i).repeat(4_000_000))
  old.socket.destroy()
})

test('what a client has not got is kept until it confirms it, also over returns that are cut', async (t) => {
  const { gateway } = await start(t)
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const id = await idOf(gateway)
  for (let i = 0; i < 20; i++) await control(gateway, 'POST', `/connections/${id}`, `m${i}`)
  for (let i = 0; i < 5; i++) {
    await client.dial()
    assert.equal(client.first.resumed, true)
    // The pong of the first ping comes before any message was read.
    const ping = await client.raw.frame()
    assert.equal(ping.opcode, 9)
    client.raw.write(frame(10, ping.payload))
    client.send(`sent ${i}`)
    await until(
      'it has come',
      async () => (await control(gateway, 'GET', `/connections/${id}`)).json.frames.in === i + 1,
    )
    client.cut()
  }
  await client.dial()
  assert.equal(client.first.received, 5)
  const got = new Set<string>()
  while (got.size < 25) {
    const text = await client.next()
    assert.ok(!got.has(text), `${text} came twice`)
    got.add(text)
  }
  for (let i = 0; i < 20; i++) assert.ok(got.has(`m${i}`))
})

test('a client that gets pushes and sends nothing is asked what it has', async (t) => {
  const { gateway } = await start(t)
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const id = await idOf(gateway)
  await control(gateway, 'POST', `/connections/${id}`, 'one')
  assert.equal(await client.next(), 'one')
  const next = client.next(30_000) // it answers the pings
  await until(
    'it was asked, and has answered',
    async () => (await control(gateway, 'GET', `/connections/${id}`)).json.session.unacknowledged === 0,
  )
  await control(gateway, 'POST', `/connections/${id}`, 'two')
  assert.equal(await next, 'two')
})

test('a first handshake that is cut opens once, however often, and however many repeat it at one time', async (t) => {
  const { gateway, handler } = await start(t)
  handler.answer((event, response) => {
    if (event.type !== 'framegate.open') return void response.writeHead(204).end()
    setTimeout(() => response.writeHead(204, { 'ws-session': '60' }).end(), 100)
  })
  for (let i = 0; i < 10; i++) {
    const client = new SessionClient(gateway.port, '/ws/a')
    const dials = [1, 2, 3].map(() => rawHandshake(gateway.port, client.target))
    await until('it is asked', () => opens(handler) === i + 1)
    for (const raw of dials) raw.socket.destroy()
    await comeBack(client)
    assert.equal(opens(handler), i + 1)
  }
})

test('a client whose worker was killed opens one new socket, however often its returns are cut', async (t) => {
  const { gateway, handler } = await start(t, { WORKERS: '1' }, [KILLED])
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  client.cut()
  const [worker] = gateway.workers()
  process.kill(worker!, 'SIGKILL')
  await handler.seen('close')
  for (let i = 0; i < 10; i++) {
    const raw = rawHandshake(gateway.port, client.target)
    if (i % 2 === 0) assert.equal((await raw.response()).status, 101)
    raw.socket.destroy()
  }
  await client.dial()
  assert.equal(client.first.resumed, true)
  assert.equal(opens(handler), 2)
})

test('a key is free again when the handler refuses the open, or cannot be reached', async (t) => {
  const { gateway, handler } = await start(t, { HANDLER_WAIT: '1s' }, [/ws-session is a time/])
  const client = new SessionClient(gateway.port, '/ws/a')
  handler.answer((_event, response) => void response.writeHead(403).end())
  assert.equal((await rawHandshake(gateway.port, client.target).response()).status, 403)
  await handler.stop()
  assert.equal((await rawHandshake(gateway.port, client.target).response()).status, 503)
  await handler.start()
  handler.answer((_event, response) => void response.writeHead(204, { 'ws-session': 'long' }).end())
  assert.equal((await rawHandshake(gateway.port, client.target).response()).status, 500)
  handler.answer((_event, response) => void response.writeHead(204, { 'ws-session': '60' }).end())
  const began = performance.now()
  await client.dial()
  assert.ok(performance.now() - began < 15_000, 'it did not wait for HANDLER_WAIT and HANDLER_TIMEOUT, 31 s')
})

test('a close reaches a client that is away when it asks again: its session is over', async (t) => {
  const { gateway, handler } = await start(t)
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const id = await idOf(gateway)
  client.cut()
  await until('it is away', async () => (await samples(gateway)).sessions_away === 1)
  await control(gateway, 'DELETE', `/connections/${id}`)
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1000')
  await client.dial()
  assert.equal(client.first.resumed, false)
  assert.equal((await samples(gateway)).sessions_away, 0)
})
