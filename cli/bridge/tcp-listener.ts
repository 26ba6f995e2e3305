// The TCP port of a bridge.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { type Listen, listening, plainAddress } from './address.ts'
import type { Bridge, Listener } from './bridge.ts'
import { TcpDevice } from './tcp-device.ts'

/** Opens the port. Each connection becomes a device. @throws {Failure} when that is not possible */
export async function listenTcp(bridge: Bridge, listen: Listen): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => accept(bridge, socket))
  await listening('--tcp', listen, once(server.listen(listen), 'listening'))
  server.on('error', (error) => bridge.log.line('accept', `a TCP connection was not accepted: ${error.message}`))
  return { stop: () => server.close(), close: () => {} }
}

function accept(bridge: Bridge, socket: Socket): void {
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) {
    socket.destroy() // it has left already
    return
  }
  const source = { transport: 'tcp', address: plainAddress(socket.remoteAddress), port: socket.remotePort } as const
  if (!bridge.admit(source, () => new TcpDevice(bridge, socket, source))) socket.destroy()
}
