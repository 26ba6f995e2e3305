// Stops, reloads and drains: what sockets and their events get.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import { askSocket, type Gateway, startGateway } from '../support/gateway.ts'
import { echo, type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

/** What npm start and Docker allow a stop. The gateway's own bound is 4 s after STOP_SECONDS. */
const STOP_MS = 10_000
const ANSWER_MS = 500
/** A stop that let a socket go on until that bound would have 12 messages answered. */
const FEW = 10

test('a stop: every socket gets 1001, every close event reaches the handler, the port is free', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { MAX_CONNECTIONS_PER_IP: 'off' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const clients = []
  for (let i = 0; i < 20; i++) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => open(`${gateway.ws}/ws/echo`)))))
  }
  const began = performance.now()
  await gateway.quit()
  assert.ok(performance.now() - began < STOP_MS, 'within the time that npm start and Docker give it')
  const closes = await Promise.all(clients.map((client) => client.closed))
  assert.deepEqual([...new Set(closes.map(({ code }) => code))], [1001])
  const events = handler.events.filter((event) => event.type === 'framegate.close')
  assert.equal(events.length, 2000)
  assert.equal(new Set(events.map((event) => event.id)).size, 2000)
  assert.deepEqual([...new Set(events.map((event) => event.headers['ce-closecode']))], ['1001'])
  await assert.rejects(
    new Promise((resolve, reject) => connect(gateway.port, '127.0.0.1', () => resolve(0)).on('error', reject)),
  )
})

// Sends more than one event at a time can take, and answers slowly.
async function queue(t: TestContext, env: Record<string, string>): Promise<Queue> {
  const gateway = await startGateway(t, { handler: false, env })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    setTimeout(() => echo(event, response, response.req), ANSWER_MS)
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  for (let i = 0; i < 60; i++) client.socket.send(String(i))
  const messages = (): number => handler.events.filter((event) => event.type === 'framegate.message').length
  await until('the first is answered, and the next in flight', () => messages() === 2)
  return { gateway, handler, client, messages }
}

type Queue = { gateway: Gateway; handler: ProbeHandler; client: Client; messages: () => number }

test('a stop closes a socket after the answer to its event in flight, whatever waits behind it', async (t) => {
  const { gateway, handler, client, messages } = await queue(t, {})
  const began = performance.now()
  await gateway.quit()
  assert.ok(performance.now() - began < STOP_MS, `${Math.round(performance.now() - began)} ms`)
  assert.equal((await client.closed).code, 1001)
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1001')
  assert.ok(messages() < FEW, `${messages()} of 60 messages`)
  for (let i = 0; i < messages(); i++) assert.equal(await client.next(), String(i))
})

test('a stop ends also when a client that has gone left many messages, and its close event comes', async (t) => {
  const { gateway, handler, client, messages } = await queue(t, {})
  client.socket.terminate()
  const began = performance.now()
  await gateway.quit()
  assert.ok(performance.now() - began < STOP_MS, `${Math.round(performance.now() - began)} ms`)
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1006')
  assert.ok(messages() < FEW, `${messages()} of 60 messages`)
})

test('a stop ends when the handler does not answer; its socket gets 1001 before', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { STOP_SECONDS: '0' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open') response.writeHead(204).end()
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  client.socket.send('never answered')
  await handler.seen('message')
  const began = performance.now()
  await gateway.quit()
  assert.equal((await client.closed).code, 1001)
  const took = performance.now() - began
  assert.ok(took < 20_000, `${Math.round(took)} ms: less than HANDLER_TIMEOUT`)
})

test('a gateway in which nothing has moved for a while ends as soon', async (t) => {
  const gateway = await startGateway(t)
  const client = await open(`${gateway.ws}/ws/echo`)
  await new Promise((resolve) => setTimeout(resolve, 2500)) // until no thread waits for anything near
  const began = performance.now()
  await gateway.quit()
  assert.equal((await client.closed).code, 1001)
  const took = performance.now() - began
  assert.ok(took < 5000, `${Math.round(took)} ms: a worker that sleeps until its next timer takes 5 s`)
})

test('a reload leaves sockets alone, and sends on what they say', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/echo`)))
  for (let i = 0; i < 3; i++) {
    await gateway.reload()
    for (const client of clients) assert.equal(await client.ask(`after reload ${i}`), `after reload ${i}`)
  }
  await Promise.all(clients.map((client) => client.close()))
  await until('old workers have ended', () => gateway.workers().length === 2, 20_000)
  assert.equal(handler.events.filter((event) => event.type === 'framegate.close').length, 20)
})

test('an old worker also ends when the lane with its last event does: lanes hand over after 150 rests', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  for (const messages of [148, 149, 150]) {
    const client = await open(`${gateway.ws}/ws/echo`)
    for (let i = 0; i < messages; i++) assert.equal(await client.ask(String(i)), String(i))
    await gateway.reload()
    await client.close()
    await until('the old worker has ended', () => gateway.workers().length === 1, 20_000)
  }
  assert.equal(handler.events.filter((event) => event.type === 'framegate.close').length, 3)
})

test('a handshake that an old worker gets after it has left is sent to another', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1' } })
  const early = connect(gateway.port, '127.0.0.1')
  early.write('GET /ws/echo HTTP/1.1\r\nHost: x\r\n')
  await fetch(gateway.url) // by then the worker has taken the connection, which was there before
  await gateway.reload()
  await until('the old worker has left', async () => {
    const { configuration, workers } = JSON.parse(
      (await askSocket('/status', `${gateway.run}/control/control.sock`)).body,
    )
    return configuration === 2 && workers.length === 1 && workers[0].configuration === 2
  })
  let answer = ''
  early.on('data', (bytes) => {
    answer += bytes
  })
  early.write(
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  await new Promise((resolve) => early.on('close', resolve))
  assert.match(answer, /^HTTP\/1\.1 503 [^]*retry-after: 0\r\n[^]*is going away/i)
  await until('the old worker has ended', () => gateway.workers().length === 1)
})

test('DRAIN_SECONDS: after a reload old sockets are closed with 1012, spread, each after its event in flight', async (t) => {
  // For longer than a machine stands still: the client would see all closed at once.
  const gateway = await startGateway(t, { handler: false, env: { DRAIN_SECONDS: '3s' } })
  const waiting: Array<() => void> = []
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    waiting.push(() => response.writeHead(200, { 'content-type': 'text/plain' }).end(event.body))
  })
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/echo`)))
  clients[0]!.socket.send('in flight')
  await until('the event is in flight', () => waiting.length === 1)
  const began = performance.now()
  await gateway.reload()
  const times = await Promise.all(
    clients.slice(1).map(async (client) => {
      assert.equal((await client.closed).code, 1012)
      return performance.now() - began
    }),
  )
  assert.ok(Math.max(...times) - Math.min(...times) > 400, 'not all at once')
  assert.equal(clients[0]!.socket.readyState, 1, 'the one with an event in flight is still open')
  waiting[0]!()
  assert.equal(await clients[0]!.next(), 'in flight')
  assert.equal((await clients[0]!.closed).code, 1012)
})

test('DRAIN_SECONDS: messages that wait behind the event in flight do not keep a socket open', async (t) => {
  const { gateway, handler, client, messages } = await queue(t, { DRAIN_SECONDS: '1s', WORKERS: '1' })
  await gateway.reload()
  assert.equal((await client.closed).code, 1012)
  assert.equal((await handler.seen('close')).headers['ce-closecode'], '1012')
  await until('the old worker has ended', () => gateway.workers().length === 1, 20_000)
  assert.ok(messages() < 30, `${messages()} of 60 messages`)
  for (let i = 0; i < messages(); i++) assert.equal(await client.next(), String(i))
})
