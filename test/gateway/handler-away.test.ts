// Handlers that are away, break off, or answer with something odd.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

test('stopped and back within HANDLER_WAIT: the client notices nothing but time', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/echo`)))
  await handler.stop()
  for (const [i, client] of clients.entries()) client.socket.send(`while away ${i}`)
  await until('the gateway has noticed', () => /no handler can be reached/.test(gateway.log()))
  const late = open(`${gateway.ws}/ws/echo`)
  await handler.start()
  for (const [i, client] of clients.entries()) assert.equal(await client.next(), `while away ${i}`)
  await (await late).close()
  const messages = handler.events.filter((event) => event.type === 'framegate.message')
  assert.equal(new Set(messages.map((event) => event.id)).size, messages.length, 'none was processed twice')
  await Promise.all(clients.map((client) => client.close()))
})

test('away for longer than HANDLER_WAIT: a 503 frame with the id, the socket stays, a new socket gets 503', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_WAIT: '300ms' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const client = await open(`${gateway.ws}/ws/echo`)
  await handler.stop()
  client.socket.send('lost')
  const error = await client.json()
  assert.equal(error.statusCode, 503)
  assert.equal(error.error, 'Service Unavailable')
  assert.match(error.id, /^[\w-]{32}\/1$/)
  const refused = rawHandshake(gateway.port, '/ws/echo')
  const { status, headers } = await refused.response()
  assert.equal(status, 503)
  assert.ok(headers['retry-after'])
  await handler.start()
  assert.equal(await client.ask('back'), 'back')
  assert.equal(
    handler.events.filter((event) => event.type === 'framegate.close').length,
    0,
    'none for the one that was never sent',
  )
  await client.close()
})

test('HANDLER_WAIT=0: nothing waits, and a handler that is back is found by the next event', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_WAIT: '0', WORKERS: '1' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const client = await open(`${gateway.ws}/ws/echo`)
  await handler.stop()
  client.socket.send('lost')
  assert.equal((await client.json()).statusCode, 503)
  await handler.start()
  assert.equal(await client.ask('back'), 'back')
  await client.close()
})

test('closing half-way is 502, no answer in time is 504, and neither is sent again', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_TIMEOUT: '2s' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    const what = event.body.toString()
    if (what === 'die') return void request.socket.destroy()
    if (what === 'half') {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '100' })
      response.write('half')
      return void setImmediate(() => request.socket.destroy())
    }
    if (what === 'silence') return
    echo(event, response, request)
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  for (const [say, status] of [
    ['die', 502],
    ['half', 502],
    ['silence', 504],
  ] as const) {
    client.socket.send(say)
    assert.equal((await client.json()).statusCode, status, say)
  }
  assert.equal(await client.ask('fine'), 'fine')
  const said = handler.events
    .filter((event) => event.type === 'framegate.message')
    .map((event) => event.body.toString())
  assert.deepEqual(said, ['die', 'half', 'silence', 'fine'])
  await client.close()
})

test('garbage, errors and HTML: the client gets the handler’s words or a JSON error, never a page of nginx', async (t) => {
  const gateway = await startGateway(t, { handler: false, expect: [/cannot be applied/] })
  await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    const what = event.body.toString()
    if (what === 'garbage') return void request.socket.end('this is not HTTP\r\n\r\n')
    if (what === 'validation')
      return void response.writeHead(400, { 'content-type': 'application/json' }).end('{"statusCode":400}')
    if (what === 'empty') return void response.writeHead(500).end()
    if (what === 'code') return void response.writeHead(200, { 'ws-close': '1006 no' }).end()
    if (what === 'latin1')
      return void response.writeHead(200, { 'content-type': 'text/plain' }).end(Buffer.from([0xe9]))
    if (what === 'large') return void response.writeHead(200, { 'x-large': 'x'.repeat(70_000) }).end()
    echo(event, response, request)
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  const expected = { garbage: 502, validation: 400, empty: 500, code: 502, latin1: 502, large: 502 }
  for (const [say, status] of Object.entries(expected)) {
    client.socket.send(say)
    assert.equal((await client.json()).statusCode, status, say)
  }
  assert.equal(await client.ask('fine'), 'fine')
  await client.close()
})

test('503 with retry-after is sent again, since it was not processed', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_WAIT: '2s' } })
  let refusals = 3
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.message' && refusals-- > 0) {
      return void response
        .writeHead(503, { 'retry-after': '0', 'content-type': 'application/json' })
        .end('{"statusCode":503}')
    }
    echo(event, response, request)
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  assert.equal(await client.ask('patience'), 'patience')
  const tries = handler.events.filter((event) => event.type === 'framegate.message')
  assert.equal(tries.length, 4)
  assert.equal(new Set(tries.map((event) => event.id)).size, 1)
  refusals = Infinity
  client.socket.send('never')
  assert.equal((await client.json()).statusCode, 503)
  await client.close()
})

test('one of three handlers is gone: nobody waits for it; all three gone and one back: D7 again', async (t) => {
  const ports = [await freePort(), await freePort(), await freePort()]
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_URL: ports.map((port) => `http://127.0.0.1:${port}`).join(','), HANDLER_WAIT: '5s' },
  })
  const handlers = await Promise.all(ports.map((port) => startProbeHandler(t, port)))
  const client = await open(`${gateway.ws}/ws/echo`)
  for (let i = 0; i < 12; i++) assert.equal(await client.ask(`all ${i}`), `all ${i}`)
  for (const handler of handlers) assert.ok(handler.events.length >= 2, 'events are spread over all')
  await handlers[0]!.stop()
  for (let i = 0; i < 12; i++) assert.equal(await client.ask(`two ${i}`), `two ${i}`)
  await Promise.all(handlers.slice(1).map((handler) => handler.stop()))
  client.socket.send('none')
  await until('the gateway has noticed', () => /no handler can be reached/.test(gateway.log()))
  await handlers[2]!.start()
  assert.equal(await client.next(), 'none')
  const all = handlers.flatMap((handler) => handler.events.map((event) => event.id))
  assert.equal(new Set(all).size, all.length, 'nothing was sent twice')
  await client.close()
})
