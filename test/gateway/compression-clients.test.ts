// Clients that nobody of this project wrote talk compressed, and what an operator sees of it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { deflated, deflatedFrame, json, noise, offer } from '../support/deflate.ts'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { control } from '../support/topic-gateway.ts'

const KIB = 1024
const TEXT = 1
const SENT = 'compressed_frames_total{direction="out"}'

test('clients', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1' } })

  await t.test('ws talks compressed with every setting that it has', async () => {
    const settings = [
      true,
      { threshold: 0 },
      { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
      { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 12 },
      { threshold: 0, clientMaxWindowBits: 15, zlibDeflateOptions: { level: 9 } },
    ]
    const messages = [
      '',
      'a',
      json(1000),
      json(130_000),
      noise(131_072),
      Buffer.from(json(70_000)),
      Buffer.alloc(900 * KIB),
    ]
    for (const perMessageDeflate of settings) {
      const client = await open(`${gateway.ws}/ws/echo`, { perMessageDeflate })
      assert.equal(client.socket.extensions, 'permessage-deflate')
      for (const message of messages) {
        if (message !== '') assert.deepEqual(await client.ask(message), message)
      }
      const parts = [json(3000), '', json(10)]
      for (const [i, part] of parts.entries()) client.socket.send(part, { fin: i === parts.length - 1, compress: true })
      assert.equal(await client.next(), parts.join(''))
      client.socket.ping('?')
      assert.equal((await client.close(3001)).code, 3001)
    }
  })

  await t.test('the WebSocket of Node talks compressed', async () => {
    const before = (await samples(gateway))[SENT]!
    const socket = new WebSocket(`${gateway.ws}/ws/echo`)
    await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
    assert.match(socket.extensions, /^permessage-deflate/)
    for (const message of ['hello', json(2000), json(200_000)]) {
      const answer = new Promise((resolve) =>
        socket.addEventListener('message', ({ data }) => resolve(data), { once: true }),
      )
      socket.send(message)
      assert.equal(await answer, message)
    }
    const sent = (await samples(gateway))[SENT]! - before
    assert.equal(sent, 2)
    socket.close()
  })
})

test('lists, metrics and the log show compression; COMPRESSION=off has none', async (t) => {
  const gateway = await startGateway(t, { env: (run) => ({ WORKERS: '1', SOCKET_LOG: `${run}/sockets.log` }) })
  const { raw } = await offer(gateway, 'permessage-deflate')
  const { raw: plain } = await offer(gateway, '')
  const message = json(4000)
  raw.write(deflatedFrame(TEXT, deflated(message)))
  const echo = await raw.frame()
  const { connections } = (await control(gateway, 'GET', '/connections')).json
  assert.deepEqual(connections.map((each: any) => each.compression).sort(), ['permessage-deflate', undefined])
  const { bytes, compression } = connections.find((each: any) => each.compression)
  assert.equal(compression, 'permessage-deflate')
  assert.deepEqual(bytes, { in: Buffer.byteLength(message), out: Buffer.byteLength(message) })
  const all = await samples(gateway)
  assert.equal(all['compressed_frames_total{direction="in"}'], 1)
  assert.equal(all['compressed_frames_total{direction="out"}'], 1)
  assert.equal(all['compression_bytes_total{direction="in",form="plain"}'], Buffer.byteLength(message))
  assert.equal(all['compression_bytes_total{direction="in",form="compressed"}'], deflated(message).length)
  assert.equal(all['compression_bytes_total{direction="out",form="plain"}'], Buffer.byteLength(message))
  assert.equal(all['compression_bytes_total{direction="out",form="compressed"}'], echo.payload.length)
  assert.equal(all.compressions_total, 1)
  const lines = readFileSync(`${gateway.run}/sockets.log`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ event, compression }) => [event, compression]),
    [
      ['open', 'permessage-deflate'],
      ['open', undefined],
    ],
  )
  raw.socket.destroy()
  plain.socket.destroy()

  const off = await startGateway(t, { env: { WORKERS: '1', COMPRESSION: 'off' } })
  const { raw: refused, answer } = await offer(off, 'permessage-deflate')
  assert.equal(answer, undefined)
  refused.write(deflatedFrame(TEXT, deflated('Hello')))
  assert.match((await refused.closeFrame()).reason, /no extension was agreed/)
})
