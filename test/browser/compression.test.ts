// Chromium offers permessage-deflate by itself: its messages and the gateway's are compressed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { launchBrowser, openPage } from './browser.ts'

/** Runs in the page: says each message, and gives what differs. */
async function exchange(url: string): Promise<{ extensions: string; wrong: number[] }> {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
  const texts = [
    'hello',
    'κόσμε '.repeat(1000),
    JSON.stringify(Array.from({ length: 10_000 }, (_, i) => ({ id: i * 7919 }))),
  ]
  const messages = [...texts, new TextEncoder().encode(texts[2]).buffer]
  const wrong: number[] = []
  const read = (data: unknown) => (data instanceof ArrayBuffer ? String(new Uint8Array(data)) : data)
  for (const [i, message] of messages.entries()) {
    const answer = new Promise((resolve) =>
      socket.addEventListener('message', ({ data }) => resolve(data), { once: true }),
    )
    socket.send(message)
    if (read(await answer) !== read(message)) wrong.push(i)
  }
  socket.close()
  return { extensions: socket.extensions, wrong }
}

test('Chromium sends and gets compressed messages', async (t) => {
  const [gateway, browser] = await Promise.all([startGateway(t, { env: { WORKERS: '1' } }), launchBrowser(t)])
  const { page, problems } = await openPage(t, browser, gateway.url)
  const before = await samples(gateway)
  const { extensions, wrong } = await page.evaluate(exchange, `${gateway.ws}/ws/echo`)
  assert.match(extensions, /^permessage-deflate/)
  assert.deepEqual(wrong, [])
  const after = await samples(gateway)
  const grown = (name: string): number => after[name]! - before[name]!
  assert.equal(grown('compressed_frames_total{direction="in"}'), 4)
  assert.equal(grown('compressed_frames_total{direction="out"}'), 3)
  assert.deepEqual(problems, [])
})
