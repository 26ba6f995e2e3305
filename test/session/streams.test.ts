// Answers that stream to a session whose client goes away and comes back.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'

/** A gateway whose handler streams; the test writes the lines. */
async function start(t: TestContext, env: Record<string, string>) {
  const gateway = await startGateway(t, { handler: false, env: { MAX_CONNECTIONS_PER_IP: 'off', ...env } })
  let stream: ServerResponse | undefined
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open') return void response.writeHead(204, { 'ws-session': '60' }).end()
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    if (String(event.body) !== 'stream') return void response.writeHead(200, { 'content-type': 'text/plain' }).end('re')
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    stream = response
    response.write('1\n')
  })
  const client = await new SessionClient(gateway.port, '/ws/a').dial()
  t.after(() => client.cut())
  client.send('stream')
  assert.equal(await client.next(), '1')
  return { gateway, client, stream: stream! }
}

test('a stream goes on while the client is away, and its frames wait', async (t) => {
  const { client, stream } = await start(t, { WORKERS: '1' })
  client.cut()
  stream.write('2\n3\n')
  await client.dial()
  assert.equal(client.first.resumed, true)
  assert.equal(await client.next(), '2')
  assert.equal(await client.next(), '3')
  stream.end('4\n')
  assert.equal(await client.next(), '4')
  client.send('x')
  assert.equal(await client.next(), 're')
})

test('more than OUTBOX_BYTES for a client that is away ends the socket and its stream', async (t) => {
  const { gateway, client, stream } = await start(t, { WORKERS: '1', OUTBOX_BYTES: '10k' })
  client.cut()
  await until('the client is away', async () => (await samples(gateway)).sessions_away === 1)
  const closed = once(stream, 'close')
  while (!stream.destroyed && stream.write(`${'x'.repeat(999)}\n`)) await new Promise(setImmediate)
  await closed
})

test('a client that comes back to another worker gets an error in place of the rest', async (t) => {
  const { gateway, client, stream } = await start(t, { WORKERS: '4' })
  const closed = once(stream, 'close').then(() => true)
  // A return to the same worker goes on with the stream.
  const isCut = await until('it meets another worker', async () => {
    client.cut()
    await client.dial()
    return Promise.race([closed, new Promise<false>((resolve) => setImmediate(resolve, false))])
  })
  assert.equal(isCut, true)
  assert.equal(client.first.resumed, true)
  const error = JSON.parse(await client.next())
  assert.equal(error.statusCode, 502)
  assert.match(error.message, /another worker/)
  client.send('x')
  assert.equal(await client.next(), 're')
  assert.doesNotMatch(gateway.log(), /moves of sockets/)
})

test('a stop ends the stream, and the session goes on after the next start', async (t) => {
  const { gateway, client, stream } = await start(t, { WORKERS: '1' })
  const closed = once(stream, 'close')
  await gateway.quit()
  await closed
  await gateway.startAgain()
  client.cut()
  await client.dial()
  assert.equal(client.first.resumed, true)
  assert.match(JSON.parse(await client.next()).message, /goes to another worker/)
  client.send('x')
  assert.equal(await client.next(), 're')
})
