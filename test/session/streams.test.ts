// Answers that stream to a session whose client goes away and comes back.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { comeBack } from './support.ts'

/** A gateway whose handler streams; the test writes the lines. */
async function start(t: TestContext, env: Record<string, string>, expect: RegExp[] = []) {
  const gateway = await startGateway(t, { handler: false, expect, env: { MAX_CONNECTIONS_PER_IP: 'off', ...env } })
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

/** The name of the worker that holds the only socket. */
const holder = (gateway: Gateway): Promise<string> =>
  until('a worker holds it', async () => {
    const { workers } = (await control(gateway, 'GET', '/status')).json
    return workers.find(({ connections }: { connections: number }) => connections === 1)?.name
  })

/** Cuts the client off until it has come back to another worker. */
async function changeWorkers(gateway: Gateway, client: SessionClient): Promise<void> {
  const before = await holder(gateway)
  do {
    client.cut()
    await comeBack(client)
    assert.equal(client.first.resumed, true)
  } while ((await holder(gateway)) === before)
}

test('a stream goes on when its client comes back to other workers: each frame once and in order', async (t) => {
  const { gateway, client, stream } = await start(t, { WORKERS: '3' })
  let written = 1
  let read = 1
  const write = (count: number): void => {
    for (let i = 0; i < count; i++) stream.write(`${++written}\n`)
  }
  for (let i = 0; i < 5; i++) {
    write(50)
    await changeWorkers(gateway, client)
    write(50)
    while (read < written) assert.equal(await client.next(), `${++read}`)
  }
  client.send('x')
  write(1)
  stream.end('end\n')
  assert.equal(await client.next(), `${written}`)
  assert.equal(await client.next(), 'end')
  assert.equal(await client.next(), 're')
  await changeWorkers(gateway, client)
  client.send('x')
  assert.equal(await client.next(), 're')
})

test('a client that leaves another worker aborts the request, and one that does not read slows it down', async (t) => {
  const { gateway, client, stream } = await start(t, { WORKERS: '2', OUTBOX_BYTES: '64k' })
  await changeWorkers(gateway, client)
  const line = 'x'.repeat(999)
  client.raw.socket.pause()
  let count = 0
  const isStopped = async (): Promise<boolean> => (await samples(gateway)).outbox_bytes! > 65536
  let looks = 0 // in a row, at which no more could be written
  const isFull = async (): Promise<boolean> => {
    looks = stream.writableNeedDrain && (await isStopped()) ? looks + 1 : 0
    if (!stream.writableNeedDrain) {
      stream.write(`${line}\n`.repeat(64))
      count += 64
    }
    return looks === 20 || count >= 50_000
  }
  await until('the handler cannot write any more', isFull, 60_000)
  assert.ok(count < 50_000, 'the handler could write all of it')
  client.raw.socket.resume()
  for (let i = 0; i < count; i++) assert.equal(await client.next(), line)
  const closed = once(stream, 'close')
  client.raw.write(frame(8, Buffer.from([15, 161])))
  await closed
  await until('its socket has ended', async () => (await samples(gateway)).sockets === 0)
})

test('a worker that is killed while it passes a stream on: an error frame, and the session goes on', async (t) => {
  const { gateway, client } = await start(t, { WORKERS: '2' }, [KILLED])
  const reader = await holder(gateway)
  await changeWorkers(gateway, client)
  const { workers } = (await control(gateway, 'GET', '/status')).json
  process.kill(workers.find(({ name }: { name: string }) => name === reader).pid, 'SIGKILL')
  const error = JSON.parse(await client.next())
  assert.deepEqual([error.statusCode, error.message], [502, "the handler's stream broke before its end"])
  client.send('x')
  assert.equal(await client.next(), 're')
})

test('a stop ends a stream that another worker passes on, and the session goes on after the next start', async (t) => {
  const { gateway, client, stream } = await start(t, { WORKERS: '2' })
  await changeWorkers(gateway, client)
  const closed = once(stream, 'close')
  await gateway.quit()
  await closed
  await gateway.startAgain()
  client.cut()
  await comeBack(client)
  assert.equal(client.first.resumed, true)
  assert.match(JSON.parse(await client.next()).message, /the stream was ended/)
  client.send('x')
  assert.equal(await client.next(), 're')
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
  assert.match(JSON.parse(await client.next()).message, /the stream was ended/)
  client.send('x')
  assert.equal(await client.next(), 're')
})
