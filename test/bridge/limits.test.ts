// What a bridge does with devices that send or take too much, or are too many.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gate } from '../support/app.ts'
import { echo } from '../support/probe-handler.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { type Bridge, closeCode, Device, parts, reaches, UdpDevice } from './support.ts'

const MiB = 1024 * 1024

/** Resident memory of the bridge, in bytes. */
function memoryOf({ process: { pid } }: Bridge): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024
}

/** What `ask` gives twice, a quarter of a second apart. */
async function settled(ask: () => Promise<number>): Promise<number> {
  let last = await ask()
  while (true) {
    await sleep(250)
    const now = await ask()
    if (now === last) return now
    last = now
  }
}

test('a line of 1 MB passes, in pieces of any size', async (t) => {
  const { bridge } = await parts(t)
  const line = `${'x'.repeat(MiB)}\n`
  const device = new Device(bridge.tcp)
  for (let at = 0; at < line.length; at += 997) device.write(line.slice(at, at + 997))
  await until('it is back', () => device.received.length === line.length, 30_000)
  assert.equal(device.received.toString(), line)
  device.socket.destroy()
})

for (const [what, options, message] of [
  ['a line', [], 'x'.repeat(101)],
  ['a message with its length in front', ['--length-prefixed'], Buffer.from([255, 255, 255, 255])],
] as const) {
  test(`${what} over --max-bytes ends the connection with 1009, after the answers to earlier ones`, async (t) => {
    const { handler, bridge } = await parts(t, ['--max-bytes', '100', ...options])
    const first = options.length === 0 ? `${'y'.repeat(100)}\r\n` : Buffer.from([0, 0, 0, 1, 120])
    const device = new Device(bridge.tcp).write(first).write(message)
    await device.ended
    assert.equal(device.received.length, options.length === 0 ? 101 : 5)
    assert.equal(await closeCode(handler), '1009')
    await bridge.said('sent a message of more than 100 bytes: closed with 1009')
    await reaches(bridge, 'bridge_sockets_closed_total{transport="tcp",cause="too_large"}', 1)
  })
}

test('there is room for --max-connections devices, and again when one has left', async (t) => {
  const { bridge } = await parts(t, ['--max-connections', '2'])
  const [one, two] = [new Device(bridge.tcp).write('1\n'), new UdpDevice(t, bridge.udp)]
  two.send('2')
  await Promise.all([one.has(1), two.has(1)])
  assert.equal(await new Device(bridge.tcp).write('3\n').all(), '')
  const peer = new UdpDevice(t, bridge.udp)
  peer.send('4')
  await reaches(bridge, 'bridge_sockets_refused_total{transport="udp",cause="full"}', 1)
  await reaches(bridge, 'bridge_datagrams_dropped_total{direction="in"}', 1)
  await bridge.said('there are 2 devices (--max-connections)')
  one.socket.end()
  await one.ended
  await reaches(bridge, 'bridge_sockets{transport="tcp"}', 0)
  peer.send('5')
  assert.deepEqual((await peer.has(1)).map(String), ['5'])
})

test('a device that floods waits while the gateway does not read, and loses nothing', async (t) => {
  const { handler, bridge } = await parts(t)
  const slow = gate()
  handler.answer(async (event, response, request) => {
    if (event.type === 'framegate.message') await slow.opened
    await echo(event, response, request)
  })
  const device = new Device(bridge.tcp).write('first\n')
  await handler.seen('message')
  const before = memoryOf(bridge)
  const lines = Array.from({ length: 400 }, (_, i) => `${i} ${'x'.repeat(100_000)}`)
  for (const line of lines) device.write(`${line}\n`)
  const read = await settled(
    async () => (await bridge.samples())['bridge_bytes_total{transport="tcp",direction="in"}']!,
  )
  assert.ok(read > 0 && read < 10 * MiB, `${read} bytes`)
  assert.ok(memoryOf(bridge) - before < 30 * MiB, `${memoryOf(bridge) - before} bytes more`)
  slow.open()
  assert.deepEqual(await device.has(401, 30_000), ['first', ...lines])
  device.socket.destroy()
})

test('tiny lines of a flood are bounded too, and other devices are served meanwhile', async (t) => {
  const { bridge } = await parts(t)
  const flood = new Device(bridge.tcp)
  const before = memoryOf(bridge)
  flood.write('\n'.repeat(20_000))
  const other = new Device(bridge.tcp).write('hello\n')
  assert.deepEqual(await other.has(1), ['hello'])
  await flood.has(20_000, 30_000)
  assert.ok(memoryOf(bridge) - before < 60 * MiB, `${memoryOf(bridge) - before} bytes more`)
  flood.socket.destroy()
  other.socket.destroy()
})

async function pushUntilFull(t: TestContext, options: string[]): Promise<{ bridge: Bridge; device: Device }> {
  const { gateway, bridge } = await parts(t, options)
  const device = new Device(bridge.tcp).write('x\n')
  await device.has(1)
  device.socket.pause()
  const frame = 'y'.repeat(500_000)
  // Or the bridge closes it before: a machine that is busy may take longer for so many pushes than --timeout.
  const isClosed = (): boolean => bridge.output().includes('has not read what waits for it')
  await until(
    'a push is dropped',
    async () => isClosed() || (await control(gateway, 'POST', '/broadcast', frame)).json.dropped === 1,
    30_000,
  )
  return { bridge, device }
}

test('a device that does not read holds the gateway back, and gets what waited when it reads', async (t) => {
  const { bridge, device } = await pushUntilFull(t, [])
  const waiting = memoryOf(bridge)
  assert.ok(waiting < 200 * MiB, `${waiting} bytes`)
  device.socket.resume()
  const pushed = (await device.has(10, 20_000)).slice(1)
  assert.ok(pushed.every((line) => line.length === 500_000))
  device.socket.destroy()
})

test('a device that does not read for --timeout is closed', async (t) => {
  const { bridge, device } = await pushUntilFull(t, ['--timeout', '1'])
  await bridge.said('has not read what waits for it within 1 s: closed')
  device.socket.resume()
  await device.ended
  await reaches(bridge, 'bridge_sockets_closed_total{transport="tcp",cause="slow"}', 1)
})

test('datagrams that cannot be passed on are dropped and counted', async (t) => {
  const { handler, bridge } = await parts(t, ['--max-bytes', '1000'])
  handler.answer(({ type }, response) => void response.end(type === 'framegate.message' ? 'x'.repeat(70_000) : ''))
  const peer = new UdpDevice(t, bridge.udp)
  peer.send('y'.repeat(1001))
  await reaches(bridge, 'bridge_datagrams_dropped_total{direction="in"}', 1)
  peer.send('z')
  await bridge.said('a frame of 70000 bytes did not reach')
  await reaches(bridge, 'bridge_datagrams_dropped_total{direction="out"}', 1)
})

test('a UDP device that was refused gets one handshake in a second', async (t) => {
  const { handler, bridge } = await parts(t)
  handler.answer((_, response) => void response.writeHead(403).end('no'))
  const peer = new UdpDevice(t, bridge.udp)
  peer.send('a')
  await reaches(bridge, 'bridge_sockets_refused_total{transport="udp",cause="refused"}', 1)
  for (let i = 0; i < 100; i += 1) peer.send('b')
  await reaches(bridge, 'bridge_datagrams_dropped_total{direction="in"}', 101)
  const times = handler.events.map(({ at }) => at)
  for (const [i, at] of times.slice(1).entries()) assert.ok(at - times[i]! > 990, `handshakes at ${times}`)
  handler.answer(echo)
  await until('it has a socket', async () => {
    peer.send('c')
    return peer.received.length > 0
  })
})
