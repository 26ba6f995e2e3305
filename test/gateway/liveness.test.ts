// Pings, pauses and dead clients, and the close event of each socket.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { KILLED, project, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

// A machine may stand still for a second, and meanwhile no client answers a ping. MESSAGE_TIMEOUT ends before IDLE_TIMEOUT.
const timing = { PING_INTERVAL: '300ms', IDLE_TIMEOUT: '3s', MESSAGE_TIMEOUT: '2500ms' }

test('a quiet client is pinged, lives while it answers, and is closed when it falls silent', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: timing })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const lively = await open(`${gateway.ws}/ws/lively`)
  const began = performance.now()
  const silent = await rawSocket(gateway.port, '/ws/silent')
  let pings = 0
  let came = await silent.frame()
  assert.ok(performance.now() - began >= 290, 'not before PING_INTERVAL')
  for (; came.opcode === 9; came = await silent.frame()) pings += 1
  assert.deepEqual([came.opcode, came.payload.readUInt16BE(0)], [8, 1001])
  await silent.end()
  const silence = performance.now() - began
  assert.ok(silence > 2900, `closed after IDLE_TIMEOUT: ${silence} ms`)
  assert.ok(pings >= 1 && pings < 20, `${pings} pings: IDLE_TIMEOUT has room for 10`)
  const close = await handler.seen('close', (event) => event.url === '/ws/silent')
  assert.equal(close.headers['ce-closecode'], '1006')
  await until('more pings than IDLE_TIMEOUT has room for', () => lively.pings > 10)
  assert.equal(await lively.ask('still here'), 'still here')
  await lively.close()
})

test('a frame may pause for longer than PING_INTERVAL, and not for longer than MESSAGE_TIMEOUT', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: timing })
  await startProbeHandler(t, gateway.handlerSocket)
  const slow = await rawSocket(gateway.port, '/ws/slow')
  const bytes = frame(1, 'in two halves')
  slow.write(bytes.subarray(0, 9))
  assert.equal((await slow.frame()).opcode, 9, 'a ping comes in the middle')
  slow.write(bytes.subarray(9))
  let rest = await slow.frame()
  while (rest.opcode === 9) rest = await slow.frame()
  assert.equal(rest.payload.toString(), 'in two halves')
  const dripping = await rawSocket(gateway.port, '/ws/drip')
  const began = performance.now()
  const timer = setInterval(() => dripping.write('x'), 100)
  dripping.write(frame(2, Buffer.alloc(1000)).subarray(0, 20))
  const { code, reason } = await dripping.closeFrame()
  clearInterval(timer)
  assert.equal(code, 1008)
  assert.match(reason, /a message must end within 2\.5 s/)
  assert.ok(performance.now() - began >= 2400)
  slow.socket.destroy()
})

function socketsInCloseWait(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => {
      const [, local, , state] = line.trim().split(/\s+/)
      return local?.endsWith(`:${hex}`) && state === '08'
    }).length
}

test('a client whose process is killed leaves no socket behind and gives its close event', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `
    import WebSocket from 'ws'
    for (let i = 0; i < 20; i++) new WebSocket('${gateway.ws}/ws/killed').on('open', function () { this.send('x') })
  `,
    ],
    { cwd: project, stdio: 'inherit' },
  )
  await until('20 messages', () => handler.events.filter((event) => event.type === 'framegate.message').length === 20)
  child.kill('SIGKILL')
  await until('20 close events', () => handler.events.filter((event) => event.type === 'framegate.close').length === 20)
  await until('no socket waits for its close', () => socketsInCloseWait(gateway.port) === 0)
  for (const event of handler.events.filter((one) => one.type === 'framegate.close')) {
    assert.equal(event.headers['ce-closecode'], '1006')
  }
})

test('one close event for every open: code, reason, duration, after the answer to the last message', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket, async (event, response) => {
    if (event.type === 'framegate.message') await new Promise((resolve) => setTimeout(resolve, 300))
    response.writeHead(204).end()
  })
  const began = performance.now()
  const client = await open(`${gateway.ws}/ws/a`)
  client.socket.send('one')
  client.socket.send('two')
  await client.close(4321, 'grün & "gut"')
  const close = await handler.seen('close')
  assert.deepEqual(
    handler.events.map((event) => event.type.slice(10)),
    ['open', 'message', 'message', 'close'],
  )
  assert.equal(close.headers['ce-closecode'], '4321')
  assert.equal(decodeURIComponent(String(close.headers['ce-closereason'])), 'grün & "gut"')
  assert.equal(close.headers['ce-closereason'], 'gr%C3%BCn%20&%20%22gut%22')
  const duration = Number(close.headers['ce-duration'])
  const took = close.at - began
  assert.ok(duration >= 550 && duration <= took + 1, `${duration} of ${took} ms`)
  const gap = close.at - handler.events[2]!.at
  assert.ok(gap >= 280, 'the close event waits for the answer to the last message')
})

test('close events wait for a handler that is away and come once it is back, each under one id', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_WAIT: '500ms' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const clients = await Promise.all(Array.from({ length: 30 }, () => open(`${gateway.ws}/ws/a`)))
  await handler.stop()
  await Promise.all(clients.map((client) => client.close()))
  await until('the gateway has noticed', () => /no handler can be reached/.test(gateway.log()))
  await handler.start()
  await until('30 close events', () => handler.events.filter((event) => event.type === 'framegate.close').length >= 30)
  const ids = handler.events.filter((event) => event.type === 'framegate.close').map((event) => event.id)
  assert.equal(new Set(ids).size, 30)
  assert.equal(ids.length, 30)
})

test('a close event that was lost half-way is sent again under its id', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  let broken = 0
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.close' && broken++ < 2) return void request.socket.destroy()
    response.writeHead(204).end()
  })
  const client = await open(`${gateway.ws}/ws/a`)
  await client.close()
  await until('the third try', () => handler.events.filter((event) => event.type === 'framegate.close').length === 3)
  assert.equal(
    new Set(handler.events.filter((event) => event.type === 'framegate.close').map((event) => event.id)).size,
    1,
  )
})

test('a worker that is killed: its sockets still give their close events, and its clients may come back at once', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { MAX_CONNECTIONS_PER_IP: '5', WORKERS: '1' },
    expect: [KILLED],
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    response.writeHead(204, event.type === 'framegate.open' ? { 'ws-state': 'kept' } : {}).end()
  })
  const clients = await Promise.all(Array.from({ length: 5 }, () => open(`${gateway.ws}/ws/a`)))
  const opens = handler.events.map((event) => event.headers['ce-connectionid'])
  process.kill(gateway.workers()[0]!, 'SIGKILL')
  await Promise.all(clients.map((client) => client.closed))
  const again = await until(
    'five sockets again',
    async () => {
      const tries = await Promise.allSettled(Array.from({ length: 5 }, () => open(`${gateway.ws}/ws/b`)))
      const got = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      if (got.length === 5) return got
      await Promise.all(got.map((each) => each.close()))
      return undefined
    },
    30_000,
  ) // a worker looks for killed ones every 10 s
  await until(
    'five close events',
    () => handler.events.filter((e) => e.type === 'framegate.close' && e.url === '/ws/a').length === 5,
    30_000, // a worker looks for killed ones every 10 s
  )
  const closes = handler.events.filter((event) => event.type === 'framegate.close' && event.url === '/ws/a')
  assert.deepEqual(closes.map((event) => event.headers['ce-connectionid']).sort(), opens.sort())
  for (const event of closes) {
    assert.equal(event.headers['ce-closecode'], '1006')
    assert.equal(event.headers['ce-state'], 'kept')
  }
  await Promise.all(again.map((client) => client.close()))
})
