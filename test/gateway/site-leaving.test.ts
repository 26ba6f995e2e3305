// What the site sends without end (a WebSocket of its own, an event stream, a download) when a gateway stops or is reloaded.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { countLeaving } from '../support/workers.ts'

const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13'
const HEADS = [
  `/socket HTTP/1.1\r\n${WEBSOCKET}`,
  '/events HTTP/1.1\r\nAccept: text/event-stream',
  '/download HTTP/1.1',
]

async function startSite(t: TestContext): Promise<string> {
  const site = createServer((request, response) => {
    response.writeHead(200).write(request.url === '/download' ? Buffer.alloc(32 * 1024 * 1024) : 'data: first\n\n')
  })
  site.on('upgrade', (_, socket) => {
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

/** What a worker logs that has to end although it holds something, 4 s after STOP_SECONDS. */
const BROKEN_OFF = /what is left is broken off/

type Visit = { hasEnded: boolean }

/** Asks the site for something, waits for the first of it, and looks whether its end comes. A download is not read on. */
async function visit(t: TestContext, port: number, head: string): Promise<Visit> {
  const socket = connect(port, '127.0.0.1')
  const seen = { hasEnded: false }
  t.after(() => socket.destroy())
  socket
    .on('error', () => {})
    .on('close', () => {
      seen.hasEnded = true
    })
  socket.write(`GET ${head}\r\nHost: x\r\n\r\n`)
  await new Promise((resolve) => socket.once('data', resolve))
  if (head.startsWith('/download')) socket.pause()
  return seen
}

test('a stop breaks off what the site sends, at the end of STOP_SECONDS', async (t) => {
  const gateway = await startGateway(t, { env: { SITE_URL: await startSite(t) } })
  const [websocket, events] = await Promise.all(HEADS.map((head) => visit(t, gateway.port, head)))
  const began = performance.now()
  await gateway.quit()
  assert.ok(performance.now() - began > 900, 'not before')
  assert.doesNotMatch(gateway.log(), BROKEN_OFF)
  await until('both have ended', () => websocket!.hasEnded && events!.hasEnded)
})

test('SITE_DRAIN: old workers break off what the site sends, and keep their sockets', async (t) => {
  const env = { SITE_URL: await startSite(t), SITE_DRAIN: '1s', WORKERS: '1' }
  const gateway = await startGateway(t, { env })
  const client = await open(`${gateway.ws}/ws/echo`)
  const [websocket, events] = await Promise.all(HEADS.map((head) => visit(t, gateway.port, head)))
  const began = performance.now()
  await gateway.reload()
  await until('both have ended', () => websocket!.hasEnded && events!.hasEnded)
  assert.ok(performance.now() - began > 900, 'not before')
  assert.equal(await client.ask('still here'), 'still here')
  await client.close()
  await until('the old worker has ended', () => gateway.workers().length === 1, 20_000)
})

test('a stop reaches old workers that hold nothing but what the site sends', async (t) => {
  const gateway = await startGateway(t, { env: { SITE_URL: await startSite(t), WORKERS: '1' } })
  for (let i = 0; i < 2; i++) {
    await Promise.all(HEADS.map((head) => visit(t, gateway.port, head)))
    await gateway.reload()
    await until('the old one leaves', async () => (await countLeaving(gateway)) === i + 1)
  }
  assert.equal(gateway.workers().length, 3)
  const began = performance.now()
  await gateway.quit()
  const took = performance.now() - began
  assert.ok(took < 20_000, `${Math.round(took)} ms: they might go on for SITE_TIMEOUT and longer`)
  assert.doesNotMatch(gateway.log(), BROKEN_OFF)
})
