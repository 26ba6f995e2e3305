// Messages between devices that speak plain TCP or UDP and a handler.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { skipWithoutIPv6 } from '../support/ipv6.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { Device, parts, UdpDevice } from './support.ts'

const PATH = '/ws/devices?from=bridge'

test('a line is a text frame, and a frame is a line', async (t) => {
  const { handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp, '127.0.0.7').write('temperature 21\r\nÄrger\n\n')
  assert.deepEqual(await device.has(3), ['temperature 21', 'Ärger', ''])
  const [open, first] = handler.events
  assert.deepEqual([open!.type, open!.url, open!.headers['x-forwarded-for']], ['framegate.open', PATH, '127.0.0.7'])
  assert.deepEqual(
    [first!.body.toString(), first!.headers['content-type']],
    ['temperature 21', 'text/plain; charset=utf-8'],
  )
  device.socket.destroy()
})

test('over IPv6, the address is passed on, and frames come back', { skip: skipWithoutIPv6 }, async (t) => {
  const { handler, bridge } = await parts(t)
  const [tcp, udp] = [new Device(bridge.tcp, '::1').write('x\n'), new UdpDevice(t, bridge.udp, '::1')]
  udp.send('y')
  assert.deepEqual(await tcp.has(1), ['x'])
  assert.deepEqual((await udp.has(1)).map(String), ['y'])
  const opens = handler.events.filter(({ type }) => type === 'framegate.open')
  assert.deepEqual(
    opens.map(({ headers }) => headers['x-forwarded-for']),
    ['::1', '::1'],
  )
  tcp.socket.destroy()
})

test('a gateway that does not trust the bridge sees only its address', async (t) => {
  const { handler, bridge } = await parts(t, [], { env: { TRUSTED_PROXIES: '10.0.0.0/8' } })
  await new Device(bridge.tcp, '127.0.0.7').write('x\n').has(1)
  assert.equal(handler.events[0]!.headers['x-forwarded-for'], '127.0.0.1')
})

test('a line that is not UTF-8 is a binary frame', async (t) => {
  const { handler, bridge } = await parts(t)
  const device = new Device(bridge.tcp).write(Buffer.from([0xff, 0x00, 0x0a]))
  const event = await handler.seen('message')
  assert.deepEqual([...event.body], [0xff, 0x00])
  assert.equal(event.headers['content-type'], 'application/octet-stream')
  await until('it is back', () => device.received.equals(Buffer.from([0xff, 0x00, 0x0a])))
  device.socket.destroy()
})

test('the ends of lines within a frame are spaces', async (t) => {
  const { handler, bridge } = await parts(t)
  handler.answer(({ type }, response) => void response.end(type === 'framegate.message' ? '{\n  "a": 1\r\n}\n' : ''))
  assert.deepEqual(await new Device(bridge.tcp).write('x\n').has(1), ['{   "a": 1  } '])
})

test('with a length in front, a message is a binary frame of any bytes', async (t) => {
  const { handler, bridge } = await parts(t, ['--length-prefixed'])
  const message = (payload: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(payload.length)
    return Buffer.concat([length, payload])
  }
  const all = Buffer.concat([Buffer.from('a\nb'), Buffer.alloc(0), Buffer.alloc(100_000, 10)].map(message))
  const device = new Device(bridge.tcp)
  for (const byte of all.subarray(0, 16)) device.write(Buffer.from([byte]))
  device.write(all.subarray(16))
  await until('all is back', () => device.received.equals(all))
  const messages = handler.events.filter(({ type }) => type === 'framegate.message')
  assert.deepEqual(
    messages.map(({ body, headers }) => [body.length, headers['content-type']]),
    [3, 0, 100_000].map((length) => [length, 'application/octet-stream']),
  )
  device.socket.destroy()
})

test('a push reaches a device like any socket', async (t) => {
  const { bridge, gateway } = await parts(t)
  const [tcp, udp] = [new Device(bridge.tcp).write('x\n'), new UdpDevice(t, bridge.udp)]
  udp.send('y')
  await Promise.all([tcp.has(1), udp.has(1)])
  const { json } = await control(gateway, 'POST', '/broadcast', 'for all')
  assert.deepEqual(json, { delivered: 2, dropped: 0 })
  assert.deepEqual(await tcp.has(2), ['x', 'for all'])
  assert.deepEqual((await udp.has(2)).map(String), ['y', 'for all'])
  tcp.socket.destroy()
})

test('a datagram is a frame, and each address and port is a socket', async (t) => {
  const { handler, bridge } = await parts(t)
  const [one, other] = [new UdpDevice(t, bridge.udp), new UdpDevice(t, bridge.udp)]
  for (const text of ['1', '2', 'line\nline', '']) one.send(text)
  other.send(Buffer.from([0xff]))
  assert.deepEqual((await one.has(4)).map(String), ['1', '2', 'line\nline', ''])
  assert.deepEqual(await other.has(1), [Buffer.from([0xff])])
  const opens = handler.events.filter(({ type }) => type === 'framegate.open')
  assert.deepEqual(
    opens.map(({ headers }) => headers['x-forwarded-for']),
    ['127.0.0.1', '127.0.0.1'],
  )
  const samples = await bridge.samples()
  assert.equal(samples['bridge_sockets{transport="udp"}'], 2)
  assert.equal(samples['bridge_bytes_total{transport="udp",direction="in"}'], 12)
})
