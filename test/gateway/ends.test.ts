// The end of a request ends the socket, whatever came in between, and nginx lets go of the connection.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { fetchOnce } from '../support/fetch-once.ts'
import { startGateway } from '../support/gateway.ts'
import { type SeenEvent, startProbeHandler } from '../support/probe-handler.ts'
import { type RawSocket, rawHandshake, rawSocket } from '../support/raw-socket.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

/** A handler that keeps the answers to open until they are released. */
function holding(): { held: ServerResponse[]; reply: (event: SeenEvent, response: ServerResponse) => void } {
  const held: ServerResponse[] = []
  return {
    held,
    reply: (event, response) => {
      if (event.type === 'framegate.open' && event.url.startsWith('/ws/held')) held.push(response)
      else response.writeHead(204).end()
    },
  }
}

/** Connections that a process of the machine holds at this port, as the kernel counts them. */
function connectionsAt(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] !== '0A' && fields[9] !== '0').length
}

test('clients that leave while open waits: their places are free, and close follows the answer to open', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', MAX_CONNECTIONS_PER_IP: '3' } })
  const { held, reply } = holding()
  const handler = await startProbeHandler(t, gateway.handlerSocket, reply)
  const gone = [1, 2, 3].map((i) => rawHandshake(gateway.port, `/ws/held/${i}`))
  await until('the handler has them', () => held.length === 3)
  gone[0]!.socket.resetAndDestroy()
  gone[1]!.socket.end()
  gone[2]!.socket.destroy()
  const client = await until('a place is free', () => rawSocket(gateway.port, '/ws/free').catch(() => undefined))
  assert.ok(!held.some(({ writableEnded }) => writableEnded), 'before any open is answered')
  assert.equal(handler.events.filter(({ type }) => type === 'framegate.close').length, 0)
  held[0]!.writeHead(204).end()
  held[1]!.writeHead(403).end()
  held[2]!.writeHead(200, { 'ws-topics': 'a' }).end('hello')
  for (const path of ['/ws/held/1', '/ws/held/3']) {
    const close = await handler.seen('close', ({ url }) => url === path)
    assert.equal(close.headers['ce-closecode'], '1006')
  }
  client.socket.destroy()
  await handler.seen('close', ({ url }) => url === '/ws/free')
  assert.equal(handler.events.filter(({ url, type }) => type === 'framegate.close' && url === '/ws/held/2').length, 0)
  assert.equal((await control(gateway, 'GET', '/connections')).json.connections.length, 0)
})

test('clients that reset at the moment of their 101 leave no socket behind', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', MAX_CONNECTIONS_PER_IP: '1000' } })
  const leaving = new Map<string, RawSocket>()
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    const raw = leaving.get(event.url)
    if (event.type === 'framegate.open' && event.url.endsWith('0')) raw?.socket.resetAndDestroy()
    response.writeHead(204).end(() => raw?.socket.resetAndDestroy())
  })
  for (let i = 0; i < 200; i++) leaving.set(`/ws/${i}`, rawHandshake(gateway.port, `/ws/${i}`))
  const count = (type: string): number => handler.events.filter((event) => event.type === `framegate.${type}`).length
  await until('each open that was answered is closed', () => count('open') === 200 && count('close') === 200)
  assert.equal((await control(gateway, 'GET', '/connections')).json.connections.length, 0)
  await until('nginx holds none of them', () => connectionsAt(gateway.port) === 0)
})

test('requests that nginx ends by itself, in the middle of a handshake, end the socket', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1' },
    locations: `location /ws/filter { include socket.conf; header_filter_by_lua_block { if ngx.status == 101 then error('a defect') end } }`,
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  for (let i = 0; i < 5; i++) {
    const raw = rawHandshake(gateway.port, '/ws/filter')
    await raw.end()
  }
  await until(
    'five close events',
    () => handler.events.filter((event) => event.type === 'framegate.close').length === 5,
  )
  assert.equal((await control(gateway, 'GET', '/connections')).json.connections.length, 0)
  await until('nginx holds none of them', () => connectionsAt(gateway.port) === 0)
})

test('ended sockets are gone from nginx though their clients keep TCP open, and the collector runs', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', IDLE_TIMEOUT: '1s', PING_INTERVAL: '500ms' },
    locations: 'location = /collect { content_by_lua_block { collectgarbage() ngx.print("collected") } }',
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const silent = await Promise.all(
    Array.from({ length: 60 }, () => rawSocket(gateway.port, '/ws/silent', { keepsOpen: true })),
  )
  await until('all have ended', () => handler.events.filter(({ type }) => type === 'framegate.close').length === 60)
  const held = connectionsAt(gateway.port)
  const time = performance.now() - handler.events.at(-1)!.at
  assert.ok(held > 0 || time > 900, `nginx waits for the clients to end: ${held} are left after ${time} ms`) // lingering_timeout
  await until('nginx has let go of them', async () => {
    await fetchOnce(`${gateway.url}/collect`)
    return connectionsAt(gateway.port) === 0
  }) // 10 s is five times lingering_time; without an end of the lingering they would stay
  for (const { socket } of silent) socket.destroy()
})
