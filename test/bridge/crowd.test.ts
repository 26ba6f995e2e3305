// Many devices at once: what each of them does costs the others nothing, and each gets its own answers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProbeHandler } from '../support/probe-handler.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { Device, parts, reaches, startBridge, UdpDevice } from './support.ts'

const MiB = 1024 * 1024
/** A machine that is busy with other things gets through. */
const LONG = 60_000

const addressOf = (i: number): string => `127.0.${1 + (i >> 8)}.${i & 255}`

function closeCodes(handler: ProbeHandler): string[] {
  return handler.events
    .filter(({ type }) => type === 'framegate.close')
    .map(({ headers }) => String(headers['ce-closecode']))
}

/** What a device sends, in the pieces in which it sends it. */
function pieces(i: number): string[] {
  if (i % 100 === 0) return [`${i} `, 'x'.repeat(MiB / 2), 'y'.repeat(MiB / 2 - 10), '\n'] // one line of almost 1 MiB
  if (i % 100 === 1) return Array.from({ length: 4 }, (_, part) => `${i} ${part}\n`.repeat(1000)) // a flood
  return [`${i} one`, `\n${i} `, `two\n${i} thr`, 'ee\n']
}

test('500 devices: lines in pieces, floods and lines of 1 MB, and half-closes', async (t) => {
  const { bridge, gateway, handler } = await parts(t)
  const devices = Array.from({ length: 500 }, (_, i) => new Device(bridge.tcp, addressOf(i)))
  await until('all are open', async () => (await control(gateway, 'GET', '/status')).json.connections === 500, LONG)
  for (let round = 0; round < 4; round++) {
    for (const [i, device] of devices.entries()) device.write(pieces(i)[round]!)
    await new Promise(setImmediate)
  }
  for (const device of devices) device.socket.end()
  for (const [i, device] of devices.entries()) assert.ok((await device.all()) === pieces(i).join(''), `device ${i}`)
  await until('all have close events', () => closeCodes(handler).length === 500, LONG)
  assert.deepEqual(new Set(closeCodes(handler)), new Set(['1000']))
  await reaches(bridge, 'bridge_sockets{transport="tcp"}', 0)
  const samples = await bridge.samples()
  const lines = 5 * 1 + 5 * 4000 + 490 * 3
  assert.equal(samples['bridge_messages_total{transport="tcp",direction="in"}'], lines)
  assert.equal(samples['bridge_messages_total{transport="tcp",direction="out"}'], lines)
})

test('100 UDP devices vanish: frames to them harm nobody, and each gets its close event', async (t) => {
  const { bridge, gateway, handler } = await parts(t, ['--idle', '2'])
  const stays = new UdpDevice(t, bridge.udp)
  const vanishing = Array.from({ length: 100 }, () => new UdpDevice(t, bridge.udp))
  for (const device of vanishing) device.send('here')
  await Promise.all(vanishing.map((device) => device.has(1)))
  for (const device of vanishing) device.vanish()
  await until('a push reaches the one that stays', async () => {
    stays.send('here')
    await control(gateway, 'POST', '/broadcast', 'for all')
    return stays.received.some((payload) => payload.toString() === 'for all')
  })
  await until(
    'all others are gone',
    async () => {
      stays.send('still here')
      return closeCodes(handler).length >= 100 && (await bridge.samples())['bridge_sockets{transport="udp"}'] === 1
    },
    LONG,
  )
  assert.deepEqual(new Set(closeCodes(handler)), new Set(['1001']))
})

test('after a restart of the gateway, and of the bridge, 50 devices get sockets again', async (t) => {
  const { bridge, gateway, handler } = await parts(t)
  const peer = new UdpDevice(t, bridge.udp)
  const come = async (port: number, word: string): Promise<Device[]> => {
    const devices = Array.from({ length: 50 }, (_, i) => new Device(port, addressOf(i)).write(`${i} ${word}\n`))
    for (const [i, device] of devices.entries()) assert.deepEqual(await device.has(1, LONG), [`${i} ${word}`])
    return devices
  }
  let devices = await come(bridge.tcp, 'first')
  peer.send('a')
  await peer.has(1)
  await gateway.quit()
  for (const device of devices) await device.ended
  await until('all have close events', () => closeCodes(handler).length === 51)
  await gateway.startAgain()
  devices = await come(bridge.tcp, 'second')
  peer.send('b')
  await peer.has(2)

  const stopped = bridge.stop()
  for (const device of devices) await device.ended
  for (const device of devices) device.socket.end()
  assert.equal(await stopped, 0)
  await until('all have close events', () => closeCodes(handler).length === 102)
  assert.deepEqual(new Set(closeCodes(handler)), new Set(['1001']))
  for (const device of await come((await startBridge(t, gateway.ws)).tcp, 'third')) device.socket.destroy()
})
