// How sockets of devices end: by the device, the gateway, the handler, or a stop of the bridge.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../cli/framegate.ts'
import { gate } from '../support/app.ts'
import { freePort } from '../support/free-port.ts'
import { echo } from '../support/probe-handler.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { closeCode, Device, parts, reaches, startBridge, UdpDevice } from './support.ts'

test('a device that ends its side gets the answers to all its lines, the last one without an end too', async (t) => {
  const { handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\nb\nlast')
  device.socket.end()
  assert.equal(await device.all(), 'a\nb\nlast\n')
  assert.equal(await closeCode(handler), '1000')
  await reaches(bridge, 'bridge_sockets_closed_total{transport="tcp",cause="device"}', 1)
})

test('a device that ends its side gets the answers, although they take longer than a close frame may', async (t) => {
  const { handler, bridge } = await parts(t)
  handler.answer(async (event, response, request) => {
    if (event.type === 'framegate.message') await sleep(5)
    await echo(event, response, request)
  })
  const lines = Array.from({ length: 1500 }, (_, i) => `${i}\n`).join('')
  const device = new Device(bridge.tcp).write(lines)
  device.socket.end()
  assert.equal(await device.all(), lines)
  assert.equal(await closeCode(handler), '1000')
})

test('of an incomplete message with its length in front, nothing is passed on', async (t) => {
  const { handler, bridge } = await parts(t, ['--length-prefixed'])
  const device = new Device(bridge.tcp).write(Buffer.from([0, 0, 0, 9, 1, 2]))
  device.socket.end()
  assert.equal(await device.all(), '')
  assert.equal(await closeCode(handler), '1000')
  assert.deepEqual(
    handler.events.map(({ type }) => type),
    ['framegate.open', 'framegate.close'],
  )
})

test('a connection that breaks is 1006', async (t) => {
  const { handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\n')
  await device.has(1)
  device.socket.resetAndDestroy()
  assert.equal(await closeCode(handler), '1006')
  await reaches(bridge, 'bridge_sockets_closed_total{transport="tcp",cause="broken"}', 1)
})

test('a handler that closes ends the connection after its last frame', async (t) => {
  const { handler, bridge } = await parts(t)
  handler.answer(({ type }, response) => {
    if (type === 'framegate.message') response.setHeader('ws-close', '4001 enough')
    response.end(type === 'framegate.message' ? 'bye' : '')
  })
  assert.equal(await new Device(bridge.tcp).write('a\n').all(), 'bye\n')
  await reaches(bridge, 'bridge_sockets_closed_total{transport="tcp",cause="gateway"}', 1)
})

test('a handler that refuses ends the connection, and the log has the status', async (t) => {
  const { handler, bridge } = await parts(t)
  handler.answer((_, response) => void response.writeHead(403).end('no'))
  assert.equal(await new Device(bridge.tcp).write('a\n').all(), '')
  await bridge.said('the gateway refused 127.0.0.1:')
  assert.match(bridge.output(), /\(tcp\) with status 403/)
  await reaches(bridge, 'bridge_sockets_refused_total{transport="tcp",cause="refused"}', 1)
})

test('a stop answers what was sent, closes with 1001, and exits with 0', async (t) => {
  const { handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\n')
  const peer = new UdpDevice(t, bridge.udp)
  peer.send('a')
  await Promise.all([device.has(1), peer.has(1)])
  const slow = gate()
  handler.answer(async (event, response, request) => {
    if (event.type === 'framegate.message') await slow.opened
    await echo(event, response, request)
  })
  device.write('b\n')
  await handler.seen('message', ({ body }) => body.toString() === 'b')
  const stopped = bridge.stop()
  await handler.seen('close') // of the other device: the stop has begun
  slow.open()
  assert.equal(await device.all(), 'a\nb\n')
  device.socket.end()
  assert.equal(await stopped, 0)
  const codes = handler.events
    .filter(({ type }) => type === 'framegate.close')
    .map(({ headers }) => headers['ce-closecode'])
  assert.deepEqual(codes, ['1001', '1001'])
})

test('a stop does not wait for devices that do not close their side', async (t) => {
  const { bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\n')
  await device.has(1)
  const flood = setInterval(() => device.write('more\n'.repeat(1000)), 5)
  t.after(() => clearInterval(flood))
  assert.equal(await bridge.stop(), 0)
})

test('a restart of the bridge: devices that come back get new sockets', async (t) => {
  const { gateway, handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\n')
  await device.has(1)
  bridge.process.kill('SIGKILL')
  await device.ended
  assert.equal(await closeCode(handler), '1006')
  const next = await startBridge(t, gateway.ws)
  assert.deepEqual(await new Device(next.tcp).write('b\n').has(1), ['b'])
})

test('a restart of the gateway ends the connections, and the next ones get sockets again', async (t) => {
  const { gateway, handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\n')
  const peer = new UdpDevice(t, bridge.udp)
  peer.send('a')
  await Promise.all([device.has(1), peer.has(1)])
  await gateway.quit()
  assert.equal(await device.all(), 'a\n')
  assert.equal(await closeCode(handler), '1001')
  assert.equal(await new Device(bridge.tcp).write('x\n').all(), '', 'nobody is there')
  await bridge.said('gets no socket: connect ECONNREFUSED')
  await gateway.startAgain()
  assert.deepEqual(await new Device(bridge.tcp).write('b\n').has(1), ['b'])
  peer.send('b')
  assert.deepEqual((await peer.has(2)).map(String), ['a', 'b'])
})

test('a gateway that is killed ends the connections', async (t) => {
  const { gateway, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write('a\n')
  await device.has(1)
  await gateway.kill()
  assert.equal(await device.all(), 'a\n')
  await reaches(bridge, 'bridge_sockets_closed_total{transport="tcp",cause="lost"}', 1)
  await gateway.startAgain()
})

test('a handshake that nobody answers ends after --timeout', async (t) => {
  const { handler, gateway } = await parts(t)
  const bridge = await startBridge(t, gateway.ws, '--timeout', '1')
  handler.answer(() => {})
  assert.equal(await new Device(bridge.tcp).write('a\n').all(), '')
  await bridge.said('gets no socket: Opening handshake has timed out')
})

test('a UDP device that is silent is gone after --idle, and its next datagram is a new socket', async (t) => {
  const { gateway, handler, bridge } = await parts(t, ['--idle', '1'])
  const peer = new UdpDevice(t, bridge.udp)
  peer.send('a')
  await peer.has(1)
  assert.equal(await closeCode(handler), '1001')
  await until('it is gone', async () => (await control(gateway, 'GET', '/status')).json.connections === 0)
  await reaches(bridge, 'bridge_sockets_closed_total{transport="udp",cause="idle"}', 1)
  peer.send('b')
  assert.deepEqual((await peer.has(2)).map(String), ['a', 'b'])
})

test('a port that is taken, and a wrong command line', async (t) => {
  const { bridge, gateway } = await parts(t)
  const refused = async (code: number, text: RegExp, ...args: string[]): Promise<void> => {
    const command = run(t, process.execPath, ['cli/bin.js', 'bridge', ...args])
    assert.equal(await command.ended, code, args.join(' '))
    assert.match(command.output(), text)
  }
  const free = String(await freePort())
  await refused(1, /^framegate: --tcp: port \d+ is in use/, '--tcp', String(bridge.tcp), '/ws/x')
  await refused(1, /^framegate: --udp: port \d+ is in use/, '--udp', String(bridge.udp), '/ws/x')
  await refused(2, /expected --tcp <port>, --udp <port> or both/, '/ws/x')
  await refused(2, /missing required argument 'path'/, '--tcp', free)
  await refused(2, /Expected a path/, '--tcp', free, 'ws/x')
  await refused(2, /Expected a port/, '--tcp', 'localhost:1', '/ws/x')
  await refused(2, /Expected a port/, '--udp', '65536', '/ws/x')
  await refused(2, /--gateway .*: expected ws:/, '--tcp', free, '--gateway', gateway.url, '/ws/x')
  await refused(
    2,
    /cannot be used with option '--length-prefixed'/,
    '--tcp',
    free,
    '--lines',
    '--length-prefixed',
    '/ws/x',
  )
  await refused(2, /Expected 1 to 86400 seconds/, '--tcp', free, '--idle', '86401', '/ws/x')
})
