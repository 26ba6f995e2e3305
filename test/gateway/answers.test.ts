/** What handlers send, right and wrong, and what the client gets of it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { type BareReply, messages, NO_CONTENT, response, startBareHandler } from '../support/bare-handler.ts'
import { open } from '../support/client.ts'
import { type Gateway, type GatewayOptions, startGateway } from '../support/gateway.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

const ONE = { WORKERS: '1' }

async function gatewayWith(
  t: Parameters<typeof startGateway>[0],
  reply: BareReply,
  options: GatewayOptions = {},
): Promise<{ gateway: Gateway; handler: Awaited<ReturnType<typeof startBareHandler>> }> {
  const gateway = await startGateway(t, { handler: false, env: ONE, ...options })
  return { gateway, handler: await startBareHandler(t, gateway.handlerSocket, reply) }
}

/** A frame that says what went wrong, and how long it took to come. */
async function errorOf(gateway: Gateway, message: string): Promise<{ error: any; ms: number }> {
  const client = await open(`${gateway.ws}/ws/any`)
  const began = performance.now()
  client.socket.send(message)
  const error = await client.json()
  const ms = performance.now() - began
  await client.close()
  return { error, ms }
}

test('3.1: interim responses are passed over, to open, message and close', async (t) => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n'
  const { gateway, handler } = await gatewayWith(t, (event, socket) => {
    socket.write(`HTTP/1.1 100 Continue\r\n\r\n${hints}`)
    socket.write(event.kind === 'message' ? response(event.body) : NO_CONTENT)
  })
  const client = await open(`${gateway.ws}/ws/any`)
  for (const text of ['one', 'two']) assert.equal(await client.ask(text), text)
  await client.close()
  await handler.seen('close')
  const again = await open(`${gateway.ws}/ws/any`)
  assert.equal(await again.ask('three'), 'three')
  await again.close()
  await until('the second close', () => handler.events.filter((event) => event.kind === 'close').length === 2)
})

test('3.2: 204 and 304 have no body, whatever they announce', async (t) => {
  const { gateway } = await gatewayWith(
    t,
    messages((event, socket) => {
      if (event.body === 'ask') return void socket.write(response('answered'))
      socket.write(`HTTP/1.1 ${event.body}\r\ncontent-length: 5\r\n\r\n`)
    }),
  )
  const client = await open(`${gateway.ws}/ws/any`)
  for (const status of ['204 No Content', '304 Not Modified']) {
    client.socket.send(status)
    assert.equal(await client.ask('ask'), 'answered')
  }
  await client.close()
})

const GARBLED: Record<string, RegExp> = {
  'HTTP/1.1 2000 X\r\n\r\n': /status line cannot be read/,
  'this is not HTTP': /no HTTP\/1.1 response/,
  'HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n': /status is not a number from 200 to 599/,
  'HTTP/1.1 101 Switching\r\n\r\n': /switches protocols/,
  'HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n': /content length/,
  'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc': /content-encoding gzip/,
  'HTTP/1.1 200 OK\r\ncontent-length : many\r\n\r\n': /content length/,
  'HTTP/1.1 200 OK\r\na: b\x01c\r\ncontent-length: 0\r\n\r\n': /header a is not a text/,
}

test('3.4-3.6, 7.13: what is no answer is 502 immediately, in so many words, and nothing of it reaches the next', async (t) => {
  const { gateway } = await gatewayWith(
    t,
    messages((event, socket) => {
      if (event.body === 'fine') return void socket.write(response('fine'))
      socket.write(event.body, 'latin1')
    }),
  )
  for (const [bytes, words] of Object.entries(GARBLED)) {
    const { error, ms } = await errorOf(gateway, bytes)
    assert.equal(error.statusCode, 502, bytes)
    assert.match(error.message, words)
    assert.ok(ms < 5000, `${bytes}: after ${ms} ms`)
    const client = await open(`${gateway.ws}/ws/any`)
    assert.equal(await client.ask('fine'), 'fine')
    await client.close()
  }
})

test('3.5, 3.6: the same to open: 502, and a close event follows', async (t) => {
  let answer = ''
  const { gateway, handler } = await gatewayWith(t, (event, socket) => {
    socket.write(event.kind === 'open' ? answer : NO_CONTENT)
  })
  for (const bytes of Object.keys(GARBLED)) {
    answer = bytes
    const before = handler.events.length
    const { status } = await rawHandshake(gateway.port, '/ws/any').response()
    assert.equal(status, 502, bytes)
    await until('the close event', () => handler.events.slice(before).some((event) => event.kind === 'close'))
  }
})

test('3.3: a handler cannot speak as nginx', async (t) => {
  const { gateway } = await gatewayWith(
    t,
    messages((event, socket) => {
      const own = 'framegate-connect-time: a\r\nframegate-connect-time: -\r\nframegate-header-time: -\r\n'
      socket.write(response(event.body, `${own}content-type: text/plain\r\n`))
    }),
  )
  const client = await open(`${gateway.ws}/ws/any`)
  assert.equal(await client.ask('hello'), 'hello')
  await client.close()
})

test('3.11: retry-after may be a time', async (t) => {
  const times: number[] = []
  const { gateway } = await gatewayWith(
    t,
    messages((event, socket) => {
      times.push(performance.now())
      if (times.length > 1) return void socket.write(response(event.body))
      const until = new Date(Date.now() + 3000).toUTCString()
      socket.write(`HTTP/1.1 503 Service Unavailable\r\nretry-after: ${until}\r\ncontent-length: 0\r\n\r\n`)
    }),
  )
  const client = await open(`${gateway.ws}/ws/any`)
  assert.equal(await client.ask('patience'), 'patience')
  assert.equal(times.length, 2)
  assert.ok(times[1]! - times[0]! > 1500, `again after ${times[1]! - times[0]!} ms`)
  await client.close()
})

test('431 says that the headers of an event are too large: it was not processed', async (t) => {
  const { gateway, handler } = await gatewayWith(
    t,
    messages((_, socket) => socket.write('HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')),
  )
  const { error } = await errorOf(gateway, 'anything')
  assert.deepEqual(
    [error.statusCode, error.message],
    [502, 'the event could not be sent to the handler: its headers are too large'],
  )
  assert.equal(handler.events.filter((event) => event.kind === 'message').length, 1)
})

const KINDS: Record<string, (body: string) => string> = {
  'with a length': (body) => response(body),
  chunked: (body) =>
    `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
}

test('1.5: an answer has at most MAX_ANSWER_BYTES', async (t) => {
  const kinds = Object.values(KINDS)
  const { gateway } = await gatewayWith(
    t,
    messages((event, socket) => {
      const [kind, bytes] = event.body.split(' ').map(Number)
      socket.write(kinds[kind!]!('x'.repeat(bytes!)))
    }),
    { env: { ...ONE, MAX_ANSWER_BYTES: '100k' } },
  )
  for (const [kind, name] of Object.keys(KINDS).entries()) {
    const client = await open(`${gateway.ws}/ws/any`)
    assert.equal(String(await client.ask(`${kind} 102400`)).length, 102_400, name)
    client.socket.send(`${kind} 102401`)
    const error = await client.json()
    assert.equal(error.statusCode, 502)
    assert.match(error.message, /larger than 102400 bytes \(MAX_ANSWER_BYTES\)/)
    assert.equal(await client.ask(`${kind} 1`), 'x', 'the next one is answered')
    await client.close()
  }
})

test('1.5: an answer without an end is cut off at MAX_ANSWER_BYTES', async (t) => {
  let sent = 0
  const pour = (socket: Socket): void => {
    while (!socket.destroyed && socket.write('x'.repeat(65_536))) sent += 65_536
    if (!socket.destroyed) socket.once('drain', () => pour(socket))
  }
  const { gateway } = await gatewayWith(
    t,
    messages((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      pour(socket)
    }),
    { env: { ...ONE, MAX_ANSWER_BYTES: '1m' } },
  )
  const { error } = await errorOf(gateway, 'more')
  assert.match(error.message, /MAX_ANSWER_BYTES/)
  assert.ok(sent < 8 * 1024 * 1024, `${sent} bytes were taken`)
})

/** A byte every 200 ms, for ever. */
function drip(socket: Socket, byte: string): void {
  const timer = setInterval(() => socket.write(byte), 200)
  socket.on('close', () => clearInterval(timer))
}

test('1.6: HANDLER_TIMEOUT bounds the whole answer, and the close event follows', async (t) => {
  const { gateway, handler } = await gatewayWith(
    t,
    messages((event, socket) => {
      socket.write(event.body)
      drip(socket, event.body.endsWith('\n\r\n') ? 'x' : 'y')
    }),
    { env: { ...ONE, HANDLER_TIMEOUT: '1s' } },
  )
  const beginnings = [
    'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nheader: ',
  ]
  for (const beginning of beginnings) {
    const { error, ms } = await errorOf(gateway, beginning)
    assert.equal(error.statusCode, 504)
    assert.ok(ms > 900 && ms < 10_000, `after ${ms} ms`) // unbounded, the shortest of them would take 200 s
  }
  await until(
    'close events',
    () => handler.events.filter((event) => event.kind === 'close').length === beginnings.length,
  )
})

test('7.11: a handler that answers before it has read the message is heard', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { ...ONE, MAX_MESSAGE_BYTES: '16m' } })
  const server = createServer((request, reply) => {
    if (request.headers['ce-type'] !== 'framegate.message') return void reply.writeHead(204).end()
    reply.writeHead(413, { 'content-type': 'text/plain', connection: 'close' }).end('too much')
    request.socket.destroySoon()
  }).listen(gateway.handlerSocket)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const client = await open(`${gateway.ws}/ws/any`)
  const large = Buffer.alloc(8 * 1024 * 1024)
  for (let i = 0; i < 20; i++) assert.equal(await client.ask(large), 'too much', `message ${i}`)
  await client.close()
})
