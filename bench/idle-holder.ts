/**
 * Opens sockets, reports that, and holds them until it is killed. It answers pings. With `asks`, each socket sends one
 * message, and reads what comes.
 * Usage: idle-holder.ts '<Hold as JSON>'
 */
import { connect } from 'node:net'
import { handshakeOf, PONG, textFrame } from './client-bytes.ts'

export type Hold = { port: number; sockets: number; from: string; path: string; asks: boolean }

const { port, sockets, from, path, asks } = JSON.parse(process.argv[2]!) as Hold
/** Handshakes at the same time, fewer than nginx's queue for `accept` holds. */
const AT_ONCE = 64
const PING = 0x89

function open(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from }, () => socket.write(handshakeOf(path)))
    socket.once('data', (answer) => {
      if (!answer.toString('latin1').startsWith('HTTP/1.1 101 ')) fail(`a handshake was answered with ${answer}`)
      if (asks) socket.write(textFrame())
      resolve()
      socket.on('data', (bytes) => {
        if (bytes[0] === PING) socket.write(PONG)
      })
    })
    socket.on('error', (error) => fail(error.message)).on('close', () => fail('the gateway closed a socket'))
  })
}

function fail(reason: string): never {
  console.error(reason)
  process.exit(1)
}

async function openSome(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await open()
}

const lanes = Math.min(AT_ONCE, sockets)
await Promise.all(Array.from({ length: lanes }, (_, lane) => openSome(Math.floor((sockets + lane) / lanes))))
process.send!('held')
process.on('disconnect', () => process.exit())
