// Handshakes that reset while open waits: one address cannot keep the handler from all others.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { rawHandshake, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

test('addresses that reset handshakes while open is slow leave room for others', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', HANDLER_CONCURRENCY: '32', MAX_CONNECTIONS_PER_IP: '1000' },
  })
  const held: ServerResponse[] = []
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open' && event.url === '/ws/slow') held.push(response)
    else response.writeHead(204).end()
  })
  for (const [localAddress, share] of [
    ['127.0.0.2', 12],
    ['127.0.0.3', 3],
  ] as const) {
    const already = held.length
    const attackers = Array.from({ length: 40 }, () => rawHandshake(gateway.port, '/ws/slow', { localAddress }))
    await until('the address has its share', () => held.length === already + share)
    for (const { socket } of attackers) socket.resetAndDestroy()
  }
  // It waits for 15 s at most, and the events of the others would end after HANDLER_TIMEOUT, 30 s.
  const other = await rawSocket(gateway.port, '/ws/fast', { localAddress: '127.0.0.4' })
  assert.equal(held.length, 15, 'the handler got more than the shares')
  other.socket.destroy()
  handler.answer((_, response) => void response.writeHead(204).end())
  for (const response of held) response.writeHead(403).end()
  const once = await rawSocket(gateway.port, '/ws/fast', { localAddress: '127.0.0.2' })
  once.socket.destroy()
  await handler.seen('close')
})
