// How many sockets an address, and a gateway, may have when clients leave and their sockets stay.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame, type RawSocket, rawHandshake } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

async function start(t: TestContext, env: Record<string, string>): Promise<Gateway> {
  const gateway = await startGateway(t, { handler: false, env })
  await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.message'
      ? void response.writeHead(200, { 'content-type': 'text/plain' }).end('x'.repeat(1000))
      : void response.writeHead(204, event.type === 'framegate.open' ? { 'ws-session': '600' } : {}).end(),
  )
  return gateway
}

/** A client that asks for a session, and the status that it gets. */
async function ask(gateway: Gateway, client = new SessionClient(gateway.port, '/ws/a')): Promise<[number, RawSocket]> {
  const raw = rawHandshake(gateway.port, client.target)
  return [(await raw.response()).status, raw]
}

const sockets = async (gateway: Gateway): Promise<number> => (await samples(gateway)).sockets!

test('dials of one address that leave at once do not pass its limit', async (t) => {
  const gateway = await start(t, { WORKERS: '2', MAX_CONNECTIONS_PER_IP: '20' })
  const seen = { 101: 0, 429: 0 } as Record<number, number>
  for (let round = 0; round < 200; round++) {
    const dials = Array.from({ length: 10 }, async () => {
      const [status, raw] = await ask(gateway)
      seen[status] = (seen[status] ?? 0) + 1
      if (status === 429)
        assert.equal(JSON.parse(await raw.body()).message, 'at most 20 sockets may be open from one address')
      raw.socket.destroy()
    })
    await Promise.all(dials)
  }
  assert.equal(seen[101], 20)
  assert.equal(seen[429], 1980)
  assert.equal(await sockets(gateway), 20)
})

test('a client at the limit comes back while its old connection is still counted', async (t) => {
  const gateway = await start(t, { WORKERS: '1', MAX_CONNECTIONS_PER_IP: '2' })
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const other = await new SessionClient(gateway.port, '/ws/a').dial()
  const [status] = await ask(gateway)
  assert.equal(status, 429)
  for (let i = 0; i < 5; i++) {
    await client.dial()
    assert.equal(client.first.resumed, true)
  }
  assert.equal((await ask(gateway))[0], 429)
  other.raw.write(frame(8))
  await until('one has ended', async () => (await sockets(gateway)) === 1)
  await until('its place is free', async () => (await ask(gateway))[0] === 101)
  assert.equal((await ask(gateway))[0], 429)
})

test('a good token opens no place for another socket', async (t) => {
  const gateway = await start(t, { WORKERS: '1', MAX_CONNECTIONS_PER_IP: '1' })
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const raw = rawHandshake(gateway.port, client.target, { headers: { cookie: 'another=1' } })
  assert.equal((await raw.response()).status, 429)
  assert.equal(await sockets(gateway), 1)
})

test('a flood of handshakes with one good token leaves one connection', async (t) => {
  const gateway = await start(t, { WORKERS: '1', MAX_CONNECTIONS_PER_IP: '3' })
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  const open = new Set<RawSocket>()
  for (let round = 0; round < 20; round++) {
    const dials = Array.from({ length: 10 }, async () => {
      const [status, raw] = await ask(gateway, client).catch(() => [0, undefined] as const)
      if (status !== 101 || !raw) return
      open.add(raw)
      raw.end().then(
        () => open.delete(raw),
        () => {},
      )
    })
    await Promise.all(dials)
  }
  await until('the others have ended', () => open.size <= 1)
  assert.equal(await sockets(gateway), 1)
})

test('the clients that have been away longest go when too many are away, or too much waits for them', async (t) => {
  const gateway = await start(t, {
    WORKERS: '1',
    MAX_CONNECTIONS_PER_IP: 'off',
    MAX_DETACHED: '10',
    DETACHED_BYTES: '8k',
  })
  for (let i = 0; i < 30; i++) {
    const client = await new SessionClient(gateway.port, '/ws/a').dial()
    client.cut()
    await until('it is away', async () => (await samples(gateway)).sessions_detached_total === i + 1)
    assert.ok((await samples(gateway)).sessions_away! <= 10)
  }
  assert.equal(await sockets(gateway), 10)
  const page = await control(gateway, 'GET', '/connections')
  for (const { id } of page.json.connections) {
    await control(gateway, 'POST', `/connections/${id}`, 'x'.repeat(2000))
    assert.ok((await samples(gateway)).sessions_away_bytes! <= 8192)
  }
  assert.equal(await sockets(gateway), 4)
})
