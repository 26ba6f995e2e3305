/** A collector that is away, refuses or hangs costs its spans, which are counted, and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { type Client, open } from '../support/client.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

type Outcomes = { sent: number; dropped: number; failed: number }

async function start(t: TestContext, endpoint: string, env: Record<string, string> = {}): Promise<Gateway> {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...env },
  })
  await startProbeHandler(t, gateway.handlerSocket)
  return gateway
}

async function outcomes(gateway: Gateway): Promise<Outcomes> {
  const all = await samples(gateway)
  const [sent, dropped, failed] = ['sent', 'dropped', 'failed'].map((name) => all[`spans_total{outcome="${name}"}`])
  return { sent: sent!, dropped: dropped!, failed: failed! }
}

/** Sends this many messages, and reads their answers. */
async function talk(client: Client, count: number): Promise<void> {
  for (let i = 0; i < count; i++) client.socket.send(String(i))
  for (let i = 0; i < count; i++) assert.equal(await client.next(), String(i))
}

test('while it is away spans wait, and what is too much is dropped; when it is back it gets what waits', async (t) => {
  const collector = await startCollector(t)
  await collector.stop()
  const gateway = await start(t, `http://127.0.0.1:${collector.port}`)
  const client = await open(`${gateway.ws}/ws/echo`)
  await talk(client, 2_700)
  await until('one is dropped', async () => (await outcomes(gateway)).dropped > 0)
  await collector.start()
  const { dropped } = await outcomes(gateway)
  await collector.received(2_701 - dropped)
  assert.ok(collector.spans.length >= 2_048, `${collector.spans.length}`)
  assert.ok(collector.requests.every(({ spans }) => spans <= 512))
  await talk(client, 1)
  await collector.received(2_702 - dropped)
  await until('they are counted', async () => (await outcomes(gateway)).sent === 2_702 - dropped)
  await until('the log has both lines', () => /cannot be sent to[^]*can be sent again/.test(gateway.log()))
  assert.equal(gateway.log().match(/spans cannot be sent to/g)!.length, 1)
  assert.equal(gateway.log().match(/spans can be sent again/g)!.length, 1)
})

test('what it refuses has failed, what it cannot take now comes again, and what it rejects is counted', async (t) => {
  const collector = await startCollector(t)
  const gateway = await start(t, `http://127.0.0.1:${collector.port}`)
  collector.answer((response) => response.writeHead(400).end())
  const client = await open(`${gateway.ws}/ws/echo`)
  await until('it has failed', async () => (await outcomes(gateway)).failed === 1)
  collector.answer((response) => response.writeHead(503).end())
  await talk(client, 3)
  const before = collector.requests.length
  await until('it was asked again', () => collector.requests.length > before + 1)
  collector.answer((response) => response.writeHead(200).end('{"partialSuccess":{"rejectedSpans":"1"}}'))
  await collector.received(3)
  await until('they are counted', async () => (await outcomes(gateway)).failed === 2)
  assert.deepEqual(await outcomes(gateway), { sent: 2, dropped: 0, failed: 2 })
})

/** How long a stop takes, in milliseconds. */
async function timeToStop(gateway: Gateway): Promise<number> {
  const began = performance.now()
  assert.equal(await gateway.quit(), 0)
  return performance.now() - began
}

test('a stop sends what is left', async (t) => {
  const collector = await startCollector(t)
  const gateway = await start(t, `http://127.0.0.1:${collector.port}`)
  const client = await open(`${gateway.ws}/ws/echo`)
  await talk(client, 5)
  await client.close()
  await timeToStop(gateway)
  await collector.received(7)
})

test('one that hangs delays neither frames nor a stop', async (t) => {
  const sockets = new Set<{ destroy: () => void }>()
  const silent = createServer((socket) => sockets.add(socket.on('error', () => {}))).unref()
  const port = await freePort()
  await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve))
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  const gateway = await start(t, `http://127.0.0.1:${port}`)
  const client = await open(`${gateway.ws}/ws/echo`)
  await until('it was asked', () => sockets.size === 1)
  await talk(client, 100)
  const took = await timeToStop(gateway)
  assert.ok(took < 25_000, `${took} ms: less than it may take to answer`)
})

test('over TLS only one with a trusted certificate gets spans and headers', async (t) => {
  const { folder, make } = certificates(t)
  const { certificate, key } = make('collector')
  const tls = { cert: readFileSync(certificate), key: readFileSync(key) }
  const collector: Collector = await startCollector(t, tls)
  const env = { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=secret' }
  const endpoint = `https://localhost:${collector.port}`
  const trusting = await start(t, endpoint, { ...env, OTEL_EXPORTER_OTLP_CERTIFICATE: `${folder}/ca.pem` })
  await open(`${trusting.ws}/ws/echo`)
  await collector.received(1)
  assert.equal(collector.requests[0]!.headers['api-key'], 'secret')

  const other = certificates(t)
  const careful = await start(t, endpoint, { ...env, OTEL_EXPORTER_OTLP_CERTIFICATE: `${other.folder}/ca.pem` })
  await open(`${careful.ws}/ws/echo`)
  await until('it is refused', () => /spans cannot be sent to https:\/\/localhost:/.test(careful.log()))
  assert.equal(collector.requests.length, 1)
})
