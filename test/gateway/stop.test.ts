// STOP_SECONDS: a stop closes sockets evenly over a time, and then ends whatever is left.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import { askSocket, startGateway } from '../support/gateway.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

/** When npm start ends what is left, after STOP_SECONDS (docs/operating.md). The gateway's own bound comes before. */
const BEYOND_MS = 5000
const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13'

/** A site whose WebSocket and event stream never end. */
async function startSite(t: TestContext): Promise<string> {
  const site = createServer((_, response) => void response.writeHead(200).write('data: first\n\n'))
  site.on('upgrade', (_, socket) => {
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    site.close()
    site.closeAllConnections()
  })
  return `http://127.0.0.1:${(site.address() as AddressInfo).port}`
}

/** Asks the site for something, and waits for the first of it. */
async function visit(t: TestContext, port: number, head: string): Promise<void> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => socket.destroy())
  socket.write(`GET ${head}\r\nHost: x\r\n\r\n`)
  await new Promise((resolve) => socket.once('data', resolve))
}

async function openMany(url: string, count: number): Promise<Client[]> {
  const clients: Client[] = []
  while (clients.length < count) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => open(url)))))
  }
  return clients
}

/**
 * Fails unless sockets were closed evenly over this time. Whoever stands still sees an end late, but never early: so none
 * may come before its turn. Only that they do not all come at the end has a bound that is wide.
 */
function areEven(times: number[], ms: number): void {
  const sorted = times.toSorted((a, b) => a - b)
  const early = sorted.map((time, i) => (ms * (i + 1)) / times.length - time)
  assert.ok(Math.max(...early) < 100, `one is closed ${Math.max(...early)} ms before its turn`) // a step has 50 ms
  const tenth = sorted[Math.floor(times.length / 10)]!
  assert.ok(tenth < ms * 0.8, `the first tenth has ended after ${tenth} ms`)
}

test('STOP_SECONDS=5: 2,000 sockets are closed evenly, each after its answer, and all close events come', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { STOP_SECONDS: '5s', MAX_CONNECTIONS_PER_IP: 'off', SITE_URL: await startSite(t) },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.message') setTimeout(() => echo(event, response, request), 300)
    else response.writeHead(204).end()
  })
  const clients = await openMany(`${gateway.ws}/ws/echo`, 2000)
  await visit(t, gateway.port, `/socket HTTP/1.1\r\n${WEBSOCKET}`)
  await visit(t, gateway.port, '/events HTTP/1.1\r\nAccept: text/event-stream')
  const busy = clients.slice(0, 20)
  let answers = 0
  for (const { socket } of busy) {
    socket.on('message', () => {
      answers += 1
    })
    for (let i = 0; i < 60; i++) socket.send(String(i))
  }
  await until('each has an answer', () => answers >= busy.length)

  const began = performance.now()
  const times: number[] = []
  const codes = clients.map(async ({ closed }) => {
    const { code } = await closed
    times.push(performance.now() - began)
    return code
  })
  assert.equal(await gateway.quit(), 0)
  const took = performance.now() - began
  t.diagnostic(`${Math.round(took)} ms`)
  assert.ok(took > 4500 && took < 5000 + BEYOND_MS, `${Math.round(took)} ms`)
  assert.deepEqual([...new Set(await Promise.all(codes))], [1001])
  areEven(times, 5000)
  const closes = handler.events.filter(({ type }) => type === 'framegate.close')
  assert.deepEqual([closes.length, new Set(closes.map(({ id }) => id)).size], [2000, 2000])
  const messages = handler.events.filter(({ type }) => type === 'framegate.message').length
  assert.equal(answers, messages, 'whatever the handler got was answered before the close')
})

type Shown = { pid: number; connections: number; is_leaving: boolean }

test('the status shows an old worker while it has nothing but a request of the site', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1', SITE_URL: await startSite(t) } })
  await visit(t, gateway.port, '/events HTTP/1.1')
  const [old] = gateway.workers()
  await gateway.reload()
  const shown = async (): Promise<Shown[]> =>
    JSON.parse((await askSocket('/status', `${gateway.run}/control/control.sock`)).body).workers
  await until('both workers are there', async () => (await shown()).length === 2)
  const leaving = await until('the old one leaves', async () => (await shown()).find((worker) => worker.is_leaving))
  assert.deepEqual([leaving.pid, leaving.connections], [old, 0])
  const began = performance.now()
  await until('a second has passed', async () => {
    assert.equal((await shown()).length, 2)
    return performance.now() - began > 1000
  })
})

test('a request of the control API whose body does not come holds up no stop', async (t) => {
  const gateway = await startGateway(t, { env: { STOP_SECONDS: '1' } })
  const caller = connect(`${gateway.run}/control/control.sock`).on('error', () => {})
  t.after(() => caller.destroy())
  caller.write('POST /topics/news HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n')
  await new Promise((resolve) => caller.once('data', resolve))
  const began = performance.now()
  assert.equal(await gateway.quit(), 0)
  const took = performance.now() - began
  assert.ok(took < 40_000, `${Math.round(took)} ms`) // nginx alone would wait for 60 s
})
