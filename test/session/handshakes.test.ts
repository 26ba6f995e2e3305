// Handshakes that break: however often a client must begin again, its handler sees one open.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { samples } from '../support/metrics.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'
import { comeBack, isWell, startStage } from './support.ts'

const PATH = '/ws/room'
const CUTS = 100

for (const [what, wait] of [
  ['the 101 is', async (raw: ReturnType<typeof rawHandshake>) => void (await once(raw.socket, 'connect'))],
  ['the session frame is', async (raw: ReturnType<typeof rawHandshake>) => void (await raw.response())],
] as const) {
  test(`a client of which ${what} cut ${CUTS} times opens one socket`, async (t) => {
    const stage = await startStage(t)
    const client = new SessionClient(stage.gateway.port, PATH)
    for (let i = 0; i < CUTS; i += 1) {
      const raw = rawHandshake(stage.gateway.port, client.target)
      await wait(raw)
      if (i % 2 === 0) raw.socket.resetAndDestroy()
      else raw.socket.destroy()
    }
    t.after(() => client.cut())
    // Handshakes of before may come later and take the session over, until nginx has ended them all.
    const isAlone = async (): Promise<boolean> => {
      const { max_sockets, free_sockets } = await samples(stage.gateway)
      return max_sockets! - free_sockets! === 1
    }
    await until('it has its socket', async () => {
      client.cut()
      return (await isWell(await comeBack(client), 'one').catch(() => false)) && isAlone()
    })
    assert.deepEqual([stage.events('open').length, stage.events('close').length], [1, 0])
    client.raw.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
    await stage.handler.seen('close')
  })
}

test('one nonce in many handshakes at the same time is one open', async (t) => {
  const stage = await startStage(t)
  const nonce = new SessionClient(stage.gateway.port, PATH).token
  const clients = Array.from({ length: 20 }, () => {
    const client = new SessionClient(stage.gateway.port, PATH)
    client.token = nonce
    return client
  })
  await Promise.allSettled(clients.map((client) => client.dial()))
  assert.equal(stage.events('open').length, 1)
  for (const client of clients) client.raw?.socket.destroy()
  const [client] = clients
  client!.token = nonce
  await comeBack(client!)
  t.after(() => client!.cut())
  assert.ok(await isWell(client!, 'one'))
  assert.equal(stage.events('open').length, 1)
})

test('a refused open is refused each time, and leaves nothing', async (t) => {
  const stage = await startStage(t)
  stage.handler.answer((_event, response) => void response.writeHead(403).end('no'))
  const client = new SessionClient(stage.gateway.port, PATH)
  for (let i = 0; i < 3; i += 1) {
    const raw = rawHandshake(stage.gateway.port, client.target)
    assert.equal((await raw.response()).status, 403)
    raw.socket.destroy()
  }
  assert.equal(stage.events('open').length, 3)
})

test('an event in flight during a cut is answered after the resume, once', async (t) => {
  const stage = await startStage(t)
  const client = await stage.enter(PATH)
  let answer = (): void => {}
  stage.handler.answer((event, response) => {
    answer = () => void response.writeHead(200, { 'content-type': 'text/plain' }).end(`re ${event.body}`)
  })
  client.send('slow')
  await stage.handler.seen('message')
  client.cut()
  const back = comeBack(client)
  setTimeout(() => answer(), 300) // a session moves to another worker when this is answered
  await back
  assert.deepEqual([client.first.resumed, client.first.received], [true, 1])
  assert.equal(await client.next(), 're slow')
  client.send('next')
  await until('the next event', () => stage.events('message').length === 2)
  answer()
  assert.equal(await client.next(), 're next')
})

test('without a session a client that asked gets a session frame, and a plain socket', async (t) => {
  const stage = await startStage(t, { allow: '0' })
  const client = await stage.enter(PATH)
  assert.deepEqual([client.first.session, client.first.resumed], [null, false])
  assert.ok(await isWell(client, 'one'))
  client.cut()
  await stage.handler.seen('close')
})
