// A worker whose connections are all taken: nginx cannot run a timer then, and does not say so to Lua.
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

test('an event that needs a lane while no connection is left is answered when there are some again', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', WORKER_CONNECTIONS: '64', HANDLER_CONCURRENCY: '4' },
    expect: [/worker_connections are not enough/, /failed to run timer/, /nginx had no connection for its timer/],
  })
  const held: Array<() => void> = []
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (String(event.body) === 'hold') held.push(() => void echo(event, response, request))
    else void echo(event, response, request)
  })
  const holders = await Promise.all([1, 2, 3].map(() => open(`${gateway.ws}/ws/a`)))
  const client = await open(`${gateway.ws}/ws/b`)
  for (const [i, holder] of holders.entries()) {
    holder.socket.send('hold')
    await until('the handler has it', () => held.length === i + 1)
    if ((await samples(gateway))['lanes{state="idle"}'] === 0) break
  }
  const idle: Socket[] = []
  // nginx ends a request that does not go on after 5 s, so others follow until this is in the log.
  const fillUntil = (line: string): Promise<boolean> =>
    until(line, () => {
      if (gateway.log().includes(line)) return true
      const socket = connect(gateway.port, '127.0.0.1').on('error', () => {})
      socket.write('GET / HTTP/1.1\r\n') // one that has not begun its request would make room for others
      idle.push(socket)
      return false
    })
  await fillUntil('worker_connections are not enough')
  client.socket.send('hello')
  await fillUntil('failed to run timer')
  for (const socket of idle) socket.destroy()
  assert.equal(await client.next(), 'hello')
  assert.equal(handler.events.filter(({ body }) => String(body) === 'hello').length, 1)
  for (const answer of held) answer()
  for (const holder of holders.slice(0, held.length)) assert.equal(await holder.next(), 'hold')
  for (const { socket } of [...holders, client]) socket.terminate()
})

test('handshakes that wait for the handler count as sockets, and the sockets that are there are served', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', WORKER_CONNECTIONS: '128', HANDLER_CONCURRENCY: '4', HANDLER_WAIT: '20s' },
  })
  const held: Array<() => void> = []
  await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.open' && event.url === '/ws/slow') held.push(() => response.writeHead(204).end())
    else void echo(event, response, request)
  })
  const there = await Promise.all([1, 2, 3, 4].map(() => open(`${gateway.ws}/ws/a`)))
  const waiting = Array.from({ length: 80 }, () => rawHandshake(gateway.port, '/ws/slow'))
  const statuses: number[] = []
  for (const raw of waiting) void raw.response(60_000).then(({ status }) => statuses.push(status))
  await until('those without a place are refused', () => statuses.length === 80 - 60)
  for (let i = 0; i < 5; i++) {
    const texts = there.map((_, n) => `${i} ${n}`)
    assert.deepEqual(await Promise.all(there.map((client, n) => client.ask(texts[n]!))), texts)
  }
  assert.equal(held.length, 2, 'half of the lanes')
  assert.deepEqual(new Set(statuses), new Set([503]))
  await until('the others are accepted, one after the other', () => {
    for (const answer of held.splice(0)) answer()
    return statuses.length === 80
  })
  assert.equal(statuses.filter((status) => status === 101).length, 60)
  for (const { socket } of waiting) socket.destroy()
  await Promise.all(there.map((client) => client.close()))
})
