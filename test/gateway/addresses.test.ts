// Ports and addresses: where the gateway listens, and what it knows of a client's address.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { skipWithoutIPv6 } from '../support/ipv6.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const TOKEN = '0123456789abcdef'

test('PORTS: each of them has sockets and the site, PORT is not one of them', async (t) => {
  const [first, second] = [await freePort(), await freePort()]
  const gateway = await startGateway(t, { env: { PORTS: `${first},${second}` } })
  for (const port of [first, second]) {
    const client = await open(`ws://127.0.0.1:${port}/ws/echo`, { headers: { origin: `http://127.0.0.1:${port}` } })
    assert.equal(await client.ask('hello'), 'hello')
    await client.close()
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
  }
  await assert.rejects(fetch(gateway.url))
})

test('every port is there over IPv6 too', { skip: skipWithoutIPv6 }, async (t) => {
  const pki = certificates(t)
  const { certificate, key } = pki.make('site')
  const [second, tls, controlPort] = [await freePort(), await freePort(), await freePort()]
  const first = await freePort()
  const gateway = await startGateway(t, {
    env: {
      PORTS: `${first},${second}`,
      TLS_CERTIFICATE: certificate,
      TLS_CERTIFICATE_KEY: key,
      TLS_PORT: String(tls),
      CONTROL_PORT: String(controlPort),
      CONTROL_TOKEN: TOKEN,
      MAX_CONNECTIONS_PER_IP: '3',
    },
  })
  const clients = [
    await open(`ws://[::1]:${first}/ws/echo`),
    await open(`ws://[::1]:${second}/ws/echo`, { headers: { origin: `http://[::1]:${second}` } }),
    await open(`wss://[::1]:${tls}/ws/echo`, { ca: pki.authority }),
  ]
  for (const client of clients) assert.equal(await client.ask('hello'), 'hello')
  await assert.rejects(open(`ws://[::1]:${first}/ws/echo`), /429/, 'all ports are counted together')
  const answer = await fetch(`http://[::1]:${controlPort}/connections`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const { connections } = (await answer.json()) as { connections: Array<{ address: string }> }
  assert.deepEqual(
    connections.map(({ address }) => address),
    ['::1', '::1', '::1'],
  )
  await Promise.all(clients.map((client) => client.close()))
  assert.equal((await control(gateway, 'GET', '/healthz')).status, 200)
})

test('behind a trusted proxy, limits, logs and connections know the client that it reveals', async (t) => {
  const gateway = await startGateway(t, {
    env: { TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8', MAX_CONNECTIONS_PER_IP: '1' },
  })
  const from = (client: string, headers = {}): ReturnType<typeof open> =>
    open(`${gateway.ws}/ws/echo`, { headers: { 'x-forwarded-for': client, ...headers } })
  const addresses = async (): Promise<string[]> =>
    (await control(gateway, 'GET', '/connections')).json.connections
      .map(({ address }: { address: string }) => address)
      .sort()

  const clients = [
    await from('203.0.113.7'),
    await from('6.6.6.6, 203.0.113.8, 10.1.2.3'),
    await from('2001:db8:1:2::3'),
  ]
  assert.deepEqual(
    await addresses(),
    ['2001:db8:1:2::3', '203.0.113.7', '203.0.113.8'],
    'the last one that is no trusted proxy',
  )
  await assert.rejects(from('203.0.113.7'), /429/)
  await assert.rejects(from('2001:db8:1:2:ffff::4'), /429/, 'an IPv6 network of 64 bits is one client')
  clients.push(await from('2001:db8:1:3::3'))
  await assert.rejects(from('203.0.113.9', { origin: 'https://evil.example' }), /403/)
  await until('the log', () => /\[warn\].* 203\.0\.113\.9: .*https:\/\/evil\.example/.test(gateway.log()))

  const stranger = await open(`${gateway.ws}/ws/echo`, {
    localAddress: '127.0.0.5',
    headers: { 'x-forwarded-for': '203.0.113.7' },
  })
  assert.ok((await addresses()).includes('127.0.0.5'), 'nobody else is believed')
  await Promise.all([...clients, stranger].map((client) => client.close()))
})

test('MESSAGE_RATE: an IPv6 network of 64 bits has one rate, a network beside it another', async (t) => {
  const gateway = await startGateway(t, { env: { TRUSTED_PROXIES: '127.0.0.1', MESSAGE_RATE: '0.01' } })
  const from = (client: string): ReturnType<typeof open> =>
    open(`${gateway.ws}/ws/echo`, { headers: { 'x-forwarded-for': client } })
  const clients = await Promise.all(['2001:db8:1:2::3', '2001:db8:1:2:ffff::4', '2001:db8:1:3::3'].map(from))
  const [first, neighbour, other] = clients
  assert.equal(await first!.ask('1'), '1')
  assert.equal(JSON.parse(String(await neighbour!.ask('2'))).statusCode, 429)
  assert.equal(await other!.ask('3'), '3')
  await Promise.all(clients.map((client) => client.close()))
})
