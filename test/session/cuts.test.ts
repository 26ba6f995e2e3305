// The client through a proxy that cuts at random bytes: in handshakes, session frames, messages and TLS records.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { WebSocket as WsSocket } from 'ws'
import { ReconnectingSocket } from '../../web/client/reconnecting-socket.js'
import { Random } from '../fuzz/random.ts'
import { certificates } from '../support/certificates.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const CLIENTS = 8
const MESSAGES = 150
const SEED = Number(process.env.SEED ?? randomInt(1_000_000))

type Player = { socket: ReconnectingSocket; messages: string[]; random: Random }

type Way = { gateway: Gateway; port: number; scheme: string; WebSocket: unknown }

async function startPlain(t: TestContext): Promise<Way> {
  const gateway = await startGateway(t, { handler: false })
  return { gateway, port: gateway.port, scheme: 'ws', WebSocket: WsSocket }
}

async function startSecure(t: TestContext): Promise<Way> {
  const pki = certificates(t)
  const { certificate, key } = pki.make('site')
  const port = await freePort()
  const gateway = await startGateway(t, {
    handler: false,
    env: { TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key, TLS_PORT: String(port) },
  })
  class Trusting extends WsSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols, { ca: pki.authority })
    }
  }
  return { gateway, port, scheme: 'wss', WebSocket: Trusting }
}

/** Each message with its number, longer now and then: a cut may fall into it. */
const text = (random: Random, name: string, i: number): string =>
  `${name} ${i} ${'x'.repeat(random.chance(0.1) ? random.int(200, 3000) : 0)}`

const numbers = (messages: string[], name: string): number[] =>
  messages.filter((message) => message.startsWith(`${name} `)).map((message) => Number(message.split(' ')[1]))

/** Closes all, each over a connection that carries messages: without one, a session waits for its client. */
async function close(clients: Player[], next: number): Promise<void> {
  await until('all are back', () => clients.every(({ socket }) => socket.state === 'open'), 30_000)
  for (const { socket, random } of clients) socket.send(text(random, 'up', next))
  await until(
    'the last answers have come',
    () => clients.every(({ messages }) => numbers(messages, 're').at(-1) === next),
    30_000,
  )
  for (const { socket } of clients) socket.close()
}

for (const [name, start, meanBytes] of [
  ['plain', startPlain, 2000],
  ['TLS', startSecure, 6000],
] as const) {
  test(`${name}: everything comes once and in order, both ways, through random cuts; seed ${SEED}`, async (t) => {
    const { gateway, port, scheme, WebSocket } = await start(t)
    const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
      if (event.type === 'framegate.message') {
        return void response.writeHead(200, { 'content-type': 'text/plain' }).end(`re ${String(event.body).slice(3)}`)
      }
      const headers = { 'ws-session': '60', 'ws-subscribe': 'news' }
      return void response.writeHead(204, event.type === 'framegate.open' ? headers : {}).end()
    })
    const proxy = await startCuttingProxy(t, { target: () => port, seed: `${SEED}/${name}`, meanBytes })
    const clients = Array.from({ length: CLIENTS }, (_, i): Player => {
      const settings = { session: true, min: 10, max: 50, WebSocket } as object
      const socket = new ReconnectingSocket(`${scheme}://localhost:${proxy.port}/ws/a?client=${i}`, undefined, settings)
      t.after(() => socket.close())
      const messages: string[] = []
      socket.onmessage = ({ data }) => messages.push(String(data))
      return { socket, messages, random: new Random(SEED, name, i) }
    })
    await until(
      'all are open',
      async () => (await control(gateway, 'GET', '/topics')).json.topics[0]?.count === CLIENTS,
    )
    const broken = (): number => Object.values(proxy.counts).reduce((sum, count) => sum + count)
    let sent = 0
    for (; sent < MESSAGES || (broken() <= CLIENTS && sent < 20 * MESSAGES); sent++) {
      for (const { socket, random } of clients) socket.send(text(random, 'up', sent))
      const { status } = await control(gateway, 'POST', '/topics/news', text(clients[0]!.random, 'down', sent))
      assert.equal(status, 200)
    }
    assert.ok(broken() > CLIENTS, `only ${broken()} connections broke`)
    proxy.calm()
    const expected = Array.from({ length: sent }, (_, i) => i)
    const hasAll = ({ messages }: Player): boolean => messages.length >= 2 * sent
    await until('all has come', () => clients.every(hasAll), 40_000).catch(() => {})
    for (const { messages } of clients) {
      assert.deepEqual(numbers(messages, 're'), expected)
      assert.deepEqual(numbers(messages, 'down'), expected)
    }
    assert.equal(handler.events.filter(({ type }) => type === 'framegate.open').length, CLIENTS)
    await close(clients, sent)
    await until(
      'all have ended',
      () => handler.events.filter(({ type }) => type === 'framegate.close').length === CLIENTS,
    )
  })
}
