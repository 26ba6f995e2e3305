/** Several handlers behind one gateway, and handlers that move, hang or break off. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { NO_CONTENT, response, startBareHandler } from '../support/bare-handler.ts'
import { certificates } from '../support/certificates.ts'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { swallowingPort } from '../support/swallowing-port.ts'
import { until } from '../support/wait.ts'

async function urls(count: number): Promise<{ ports: number[]; env: Record<string, string> }> {
  const ports = await Promise.all(Array.from({ length: count }, () => freePort()))
  return { ports, env: { WORKERS: '1', HANDLER_URL: ports.map((port) => `http://127.0.0.1:${port}`).join(',') } }
}

/** How long the slowest of these messages took, in ms; each must come back. */
async function slowest(clients: Client[], rounds: number): Promise<number> {
  let worst = 0
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      clients.map(async (client, i) => {
        const began = performance.now()
        assert.equal(await client.ask(`${round} ${i}`), `${round} ${i}`)
        worst = Math.max(worst, performance.now() - began)
      }),
    )
  }
  return worst
}

test('2.6: of two handlers one is dead: the other answers everything, also with HANDLER_WAIT=0', async (t) => {
  const { ports, env } = await urls(2)
  const gateway = await startGateway(t, { handler: false, env: { ...env, HANDLER_WAIT: '0' } })
  await startProbeHandler(t, ports[1]!)
  const clients = await Promise.all(Array.from({ length: 50 }, () => open(`${gateway.ws}/ws/echo`)))
  await slowest(clients, 20)
  assert.doesNotMatch(gateway.log(), /no handler can be reached/)
  await until('the dead one is in the log', () =>
    /the handler at 127.0.0.1:\d+ cannot be reached, and another is asked/.test(gateway.log()),
  )
  await Promise.all(clients.map((client) => client.close()))
})

test('2.6: the dead one is tried now and then, and takes its part when it is back', async (t) => {
  const { ports, env } = await urls(2)
  const gateway = await startGateway(t, { handler: false, env })
  await startProbeHandler(t, ports[1]!)
  const client = await open(`${gateway.ws}/ws/echo`)
  await until('one is known to be dead', async () => {
    assert.equal(await client.ask('x'), 'x')
    return /cannot be reached, and another/.test(gateway.log())
  })
  const back = await startProbeHandler(t, ports[0]!)
  await until('it gets events', async () => {
    assert.equal(await client.ask('x'), 'x')
    return back.events.length > 0
  })
  await until('it is in the log', () => /can be reached again/.test(gateway.log()))
  await client.close()
})

test('7.2: a handler that swallows packets costs the others’ events next to nothing', async (t) => {
  const [alive, dead] = [await freePort(), await swallowingPort(t)]
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', HANDLER_URL: `http://127.0.0.1:${dead},http://127.0.0.1:${alive}` },
  })
  await startProbeHandler(t, alive)
  const clients = await Promise.all(Array.from({ length: 40 }, () => open(`${gateway.ws}/ws/echo`)))
  const worst = await slowest(clients, 30)
  assert.ok(worst < 2000, `the slowest took ${worst} ms`) // as long as connecting takes when there is no other
  assert.doesNotMatch(gateway.log(), /no handler can be reached/)
  await Promise.all(clients.map((client) => client.close()))
})

test('7.6: two https handlers, each asked by its own name', async (t) => {
  const ports = [await freePort(), await freePort()]
  const names = ['localhost', 'LOCALHOST'] // of one address; the name that a server is asked for is the one of the URL
  const { certificate, key } = certificates(t).make('handler')
  const asked: string[][] = [[], []]
  for (const [i, port] of ports.entries()) {
    const server = createServer(
      {
        cert: readFileSync(certificate),
        key: readFileSync(key),
        SNICallback: (name, done) => {
          asked[i]!.push(name)
          done(name === names[i] ? null : new Error(`not ${name}`))
        },
      },
      (request, reply) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk) => chunks.push(chunk))
        request.on('end', () => {
          const isMessage = request.headers['ce-type'] === 'framegate.message'
          if (!isMessage) return void reply.writeHead(204).end()
          reply.writeHead(200, { 'content-type': 'text/plain' }).end(`${names[i]} ${Buffer.concat(chunks)}`)
        })
      },
    )
    server.listen(port, '127.0.0.1')
    t.after(() => {
      server.close()
      server.closeAllConnections()
    })
  }
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', HANDLER_URL: names.map((name, i) => `https://${name}:${ports[i]}`).join(',') },
  })
  const client = await open(`${gateway.ws}/ws/any`)
  const seen = new Set<string>()
  await until('both have answered', async () => {
    seen.add(String(await client.ask('hello')).split(' ')[0]!)
    return seen.size === 2
  })
  assert.deepEqual(
    [new Set(asked[0]), new Set(asked[1])],
    names.map((name) => new Set([name])),
  )
  await client.close()
})

/** Ends a connection with RST in place of FIN. */
function reset(socket: Socket): void {
  socket.resetAndDestroy()
}

test('2.8: a message that a handler may have read is never sent again, at a stop neither', async (t) => {
  const port = await freePort()
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', HANDLER_URL: `http://127.0.0.1:${port}` },
    expect: [/the close event has no answer/],
  })
  let isResetting = false
  const handler = await startBareHandler(t, port, (event, socket) => {
    if (event.kind === 'message' && isResetting) return reset(socket)
    socket.write(event.kind === 'message' ? response(event.body) : NO_CONTENT)
  })
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/any`)))
  await slowest(clients, 1)
  isResetting = true
  for (const client of clients) client.socket.send('once')
  await gateway.quit()
  await Promise.all(clients.map((client) => client.closed))
  const ids = handler.events.filter((event) => event.kind === 'message').map((event) => event.id)
  assert.equal(new Set(ids).size, ids.length, 'every message came once at most')
  assert.equal(handler.events.filter((event) => event.kind === 'close').length, 20)
})

test('a connection that the handler closed while it waited is not used', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const sockets: Socket[] = []
  await startBareHandler(t, gateway.handlerSocket, (event, socket) => {
    sockets.push(socket)
    socket.write(event.kind === 'message' ? response(event.body) : NO_CONTENT)
  })
  const client = await open(`${gateway.ws}/ws/any`)
  for (let i = 0; i < 20; i++) {
    assert.equal(await client.ask(String(i)), String(i))
    for (const socket of sockets.splice(0)) socket.destroy()
  }
  await client.close()
})

test('2.11: 1,000 sockets send at the same time to a handler with a short queue: nothing is logged, all are answered', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: (run) => ({
      WORKERS: '4',
      MAX_CONNECTIONS_PER_IP: 'off',
      HANDLER_URL: `http://unix:${run}/handler/short.sock`,
    }),
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket) // for its answers; another one listens
  const server = createTcpServer((socket) => handler.server.emit('connection', socket))
  server.listen({ path: `${gateway.run}/handler/short.sock`, backlog: 16 })
  t.after(() => server.close())
  const clients: Client[] = []
  while (clients.length < 1000) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => open(`${gateway.ws}/ws/echo`)))))
  }
  handler.answer((event, reply, request) => {
    setTimeout(() => echo(event, reply, request), 100) // so that every message needs a lane of its own
  })
  await slowest(clients, 2)
  assert.doesNotMatch(gateway.log(), /no handler|\[error\]/)
  for (const client of clients) client.socket.terminate()
})
