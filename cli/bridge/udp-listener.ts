// The UDP port of a bridge: datagrams from one address and port belong to one device.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import { type Listen, listening, plainAddress } from './address.ts'
import type { Bridge, Listener } from './bridge.ts'
import { UdpDevice } from './udp-device.ts'

/** Opens the port. @throws {Failure} when that is not possible */
export async function listenUdp(bridge: Bridge, listen: Listen): Promise<Listener> {
  const socket = await bind(listen)
  const devices = new Map<string, UdpDevice>()
  socket.on('error', (error) => bridge.log.line('udp', `the UDP port reports: ${error.message}`))
  const receive = (payload: Buffer, remote: RemoteInfo): void => {
    const key = `${remote.address} ${remote.port}`
    const device = devices.get(key) ?? admit(key, remote)
    if (device) device.receive(payload)
    else bridge.counters.add('datagrams_dropped_total', { direction: 'in' })
  }
  const admit = (key: string, remote: RemoteInfo): UdpDevice | undefined => {
    const source = { transport: 'udp', address: plainAddress(remote.address), port: remote.port } as const
    const device = bridge.admit(source, () => {
      const made: UdpDevice = new UdpDevice(bridge, socket, {
        source,
        remote,
        ended: () => {
          if (devices.get(key) === made) devices.delete(key)
        },
      })
      return made
    })
    if (device) devices.set(key, device)
    return device
  }
  socket.on('message', receive)
  return { stop: () => socket.off('message', receive), close: () => socket.close() }
}

/** All addresses are one socket of IPv6 that accepts IPv4 too, where the machine has IPv6. */
async function bind(listen: Listen): Promise<Socket> {
  if (listen.host !== undefined) return bound(isIPv4(listen.host) ? 'udp4' : 'udp6', listen)
  return bound('udp6', listen).catch((error) => {
    if (!/^(EAFNOSUPPORT|EADDRNOTAVAIL)$/.test(error.cause.code)) throw error
    return bound('udp4', listen)
  })
}

async function bound(type: 'udp4' | 'udp6', { port, host }: Listen): Promise<Socket> {
  const socket = createSocket(type)
  socket.bind({ port, ...(host === undefined ? {} : { address: host }) })
  await listening('--udp', { port }, once(socket, 'listening'))
  return socket
}
