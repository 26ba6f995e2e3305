// Pushes to sockets that have negotiated compression, beside others: who gets what, and how often it is compressed.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { type Client, open } from '../support/client.ts'
import { isCompressed, json, messageOf, noise, OFFER } from '../support/deflate.ts'
import { openStream } from '../support/event-stream.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { type RawSocket, rawSocket } from '../support/raw-socket.ts'
import { control, topicGateway } from '../support/topic-gateway.ts'

const RUNS = 'compressions_total'
const SENT = 'compressed_frames_total{direction="out"}'

/** Sockets that subscribe to a topic. Their first frame has come. */
async function readers(gateway: Gateway, count: number, offers: string, topic = 'news'): Promise<RawSocket[]> {
  const headers = { 'Sec-WebSocket-Extensions': offers }
  const open = async (): Promise<RawSocket> => {
    const raw = await rawSocket(gateway.port, `/ws/topic/${topic}`, { headers })
    await raw.frame()
    return raw
  }
  return Promise.all(Array.from({ length: count }, open))
}

async function publish(gateway: Gateway, text: string): Promise<number> {
  return (await control(gateway, 'POST', '/topics/news', text)).json.delivered
}

async function counts(gateway: Gateway): Promise<[number, number]> {
  const all = await samples(gateway)
  return [all[RUNS]!, all[SENT]!]
}

test('a topic of compressed and plain readers: each gets its form, and a worker compresses once for all', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '2' } })
  const plain = await readers(gateway, 10, '')
  const stream = await openStream(t, gateway.port, '/ws/topic/news')
  await stream.next()
  const text = json(5000)
  assert.equal(await publish(gateway, text), 11)
  for (const raw of plain) assert.equal((await raw.frame()).payload.toString(), text)
  assert.equal((await stream.next()).data, text)
  assert.deepEqual(await counts(gateway), [0, 0], 'nothing is compressed for nobody')

  const compressed = await readers(gateway, 40, OFFER['Sec-WebSocket-Extensions'])
  const small = await readers(gateway, 20, 'permessage-deflate; server_max_window_bits=10')
  for (let i = 1; i <= 3; i++) {
    const text = `${i} ${json(5000)}`
    assert.equal(await publish(gateway, text), 71)
    assert.equal(await publish(gateway, `short ${i}`), 71)
    for (const raw of [...plain, ...compressed, ...small]) {
      const long = await raw.frame()
      assert.equal(messageOf(long).toString(), text)
      assert.equal(isCompressed(long), !plain.includes(raw))
      const short = await raw.frame()
      assert.deepEqual([short.rsv, short.payload.toString()], [0, `short ${i}`])
    }
    assert.equal((await stream.next()).data, text)
    assert.equal((await stream.next()).data, `short ${i}`)
    const [runs, sent] = await counts(gateway)
    assert.equal(sent, i * 60)
    assert.ok(runs >= i * 2 && runs <= i * 4, `${runs} for two workers and two windows`)
  }
  for (const raw of [...plain, ...compressed, ...small]) raw.socket.destroy()
})

test('a reader that stops: what is written in parts arrives whole and in order, compressed or not', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '1', OUTBOX_BYTES: '64m' } })
  const both = [...(await readers(gateway, 1, OFFER['Sec-WebSocket-Extensions'])), ...(await readers(gateway, 1, ''))]
  for (const raw of both) raw.socket.pause()
  const outboxes = async (): Promise<number[]> =>
    (await control(gateway, 'GET', '/connections')).json.connections.map(({ outbox }: { outbox: number }) => outbox)
  const sent: string[] = []
  // Base64 of noise gets a quarter shorter, so the kernel's buffers are full soon, and what waits is compressed only then.
  const text = noise(90_000).toString('base64')
  do {
    for (const next of [`${sent.length} ${text}`, `short ${sent.length}`]) {
      sent.push(next)
      assert.equal(await publish(gateway, next), 2)
    }
  } while (Math.min(...(await outboxes())) < 500_000)
  for (const raw of both) raw.socket.resume()
  for (const expected of sent) {
    for (const [i, raw] of both.entries()) {
      const received = await raw.frame()
      assert.ok(messageOf(received).equals(Buffer.from(expected)), expected.slice(0, 9))
      assert.equal(isCompressed(received), i === 0 && expected.length > 1024)
    }
  }
  assert.equal(await publish(gateway, 'end'), 2)
  for (const raw of both) {
    assert.equal((await raw.frame()).payload.toString(), 'end')
    raw.socket.destroy()
  }
})

async function startSecure(t: TestContext): Promise<{ gateway: Gateway; join: () => Promise<Client> }> {
  const pki = certificates(t)
  const { certificate, key } = pki.make('site')
  const port = await freePort()
  const env = { WORKERS: '1', TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key, TLS_PORT: String(port) }
  const gateway = await topicGateway(t, { env })
  const join = async (): Promise<Client> => {
    const client = await open(`wss://localhost:${port}/ws/topic/news`, { ca: pki.authority, perMessageDeflate: true })
    await client.next()
    return client
  }
  return { gateway, join }
}

test('over TLS, where each socket writes for itself, a push is compressed once, too', async (t) => {
  const { gateway, join } = await startSecure(t)
  const clients = await Promise.all(Array.from({ length: 20 }, join))
  for (let i = 1; i <= 3; i++) {
    const text = `${i} ${json(20_000)}`
    assert.equal(await publish(gateway, text), 20)
    for (const client of clients) assert.equal(await client.next(), text)
    assert.deepEqual(await counts(gateway), [i, i * 20])
  }
  for (const client of clients) client.socket.terminate()
})
