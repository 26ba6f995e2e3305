// The compiler is what tests here: every line under @ts-expect-error must not compile, everything else must.
import { test } from 'node:test'
import { WebSocket as WsSocket } from 'ws'
import { ReconnectingSocket, worthRetrying } from '../../web/client/reconnecting-socket.js'

/** Compiles only when both types are the same; `any` is the same only as itself. */
function same<A, B>(
  ..._proof: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : ['not the same type']
): void {}

export function options() {
  new ReconnectingSocket(new URL('ws://host/'), 'chat')
  new ReconnectingSocket(
    async () => 'ws://host/',
    async () => ['chat', 'v2'],
    { min: 1, max: 2, stable: 3, timeout: 4, answer: 5, keep: 6 },
  )
  new ReconnectingSocket('ws://host/', [], { WebSocket: WsSocket })
  new ReconnectingSocket('ws://host/', [], { WebSocket })
  new ReconnectingSocket('ws://host/', [], { retry: (end) => end.code === 4401 || worthRetrying(end) })
  new ReconnectingSocket('ws://host/', [], { session: true })
  // @ts-expect-error a URL is missing
  new ReconnectingSocket()
  // @ts-expect-error no such option
  new ReconnectingSocket('ws://host/', [], { retries: 3 })
  // @ts-expect-error bytes
  new ReconnectingSocket('ws://host/', [], { keep: '64k' })
  // @ts-expect-error the end of a connection has no status
  new ReconnectingSocket('ws://host/', [], { retry: (end) => end.status === 401 })
}

export function use(socket: ReconnectingSocket) {
  const asWebSocket: WebSocket = socket
  same<typeof socket.state, 'connecting' | 'open' | 'waiting' | 'closing' | 'closed'>()
  same<typeof socket.binaryType, 'blob' | 'arraybuffer'>()
  same<typeof ReconnectingSocket.CLOSED, 3>()
  for (const data of ['text', new ArrayBuffer(1), new Uint8Array(1), Buffer.from('x'), new Blob([])]) socket.send(data)
  // @ts-expect-error JSON.stringify is missing
  socket.send({ text: 'hi' })
  // @ts-expect-error it is read-only
  socket.readyState = 1
  socket.addEventListener('state', ({ detail }) => {
    same<typeof detail.delay, number | undefined>()
    same<typeof detail.code, number | undefined>()
    // @ts-expect-error no such state
    if (detail.state === 'reconnecting') return
  })
  socket.addEventListener('open', ({ reconnected }) => same<typeof reconnected, boolean | undefined>(), { once: true })
  socket.addEventListener('close', ({ code, reason, wasClean }) =>
    same<[number, string, boolean], [typeof code, typeof reason, typeof wasClean]>(),
  )
  socket.addEventListener('lost', ({ unsent }) => unsent.forEach((data) => void socket.send(data)))
  socket.onresume = (event) => same<typeof event, Event>()
  // @ts-expect-error nothing was lost
  socket.onresume = ({ unsent }) => unsent
  socket.onmessage = (event) => same<typeof event, MessageEvent>()
  // @ts-expect-error a message has no code
  socket.onmessage = ({ code }) => code
  return asWebSocket
}

test('the types of ReconnectingSocket compile as they should', () => {})
