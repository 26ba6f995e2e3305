/** Handshakes as the world sends them: right ones, and every way to be wrong, late, half or too much. */
import { connect, type Socket } from 'node:net'
import { pause, type Random } from './random.ts'

/** What a random handshake is written of. */
type Handshake = { method: string; target: string; version: string; headers: Array<[string, string]>; body: string }

function right(path: string, port: number, random: Random): Handshake {
  return {
    method: 'GET',
    target: path,
    version: 'HTTP/1.1',
    headers: [
      ['Host', `127.0.0.1:${port}`],
      ['Upgrade', 'websocket'],
      ['Connection', 'Upgrade'],
      ['Sec-WebSocket-Key', random.bytes(16).toString('base64')],
      ['Sec-WebSocket-Version', '13'],
    ],
    body: '',
  }
}

function set(handshake: Handshake, name: string, value: string): void {
  handshake.headers = [...handshake.headers.filter(([known]) => known !== name), [name, value]]
}

type Twist = (handshake: Handshake, random: Random) => void

function header(name: string, values: string[]): Twist {
  return (handshake, random) => set(handshake, name, random.pick(values))
}

function another(name: string, values: string[]): Twist {
  return (handshake, random) => handshake.headers.push([name, random.pick(values)])
}

const HEADER_TWISTS: Twist[] = [
  header('Host', ['', 'user@host', 'a?b', '[::1', 'a:99999', '127.0.0.1', 'EXAMPLE.com:80']),
  header('Upgrade', ['WebSocket', 'h2c', '', 'websocket, h2c', '\twebsocket\t']),
  header('Connection', ['keep-alive, Upgrade', 'close', 'upgrade,,', '']),
  header('Sec-WebSocket-Key', [
    '',
    'short',
    'dGhlIHNhbXBsZSBub25jZQ==',
    '\tdGhlIHNhbXBsZSBub25jZQ==\t',
    '*'.repeat(24),
  ]),
  header('Sec-WebSocket-Version', ['8', '13, 8', '013', '']),
  another('Sec-WebSocket-Key', ['dGhlIHNhbXBsZSBub25jZQ==']),
  another('Host', ['other']),
  another('Upgrade', ['websocket']),
  another('Origin', ['null', 'file://', 'https://other.example', 'http://127.0.0.1', 'x'.repeat(3000)]),
  another('Sec-WebSocket-Protocol', ['a', 'a, b', 'a(b)', ',,', '']),
  another('Sec-WebSocket-Extensions', ['permessage-deflate', 'permessage-deflate; client_max_window_bits=99', ';;']),
  another('Cookie', ['a=b', `a=${'b'.repeat(7000)}`, '\u00e9=\u00ff']),
  another('X-Forwarded-For', ['1.2.3.4', 'x', '']),
  another('ce-type', ['framegate.close']),
  another('ws-close', ['4000']),
  another('x_y', ['z']),
  another('X', ['y'.repeat(8100), 'a\r\n b', 'a\0b', '\u0001']),
]

const BODY_TWISTS: Twist[] = [
  header('Content-Length', ['0', '5', '209715200', '-1', 'x', '5, 5']),
  header('Transfer-Encoding', ['chunked', 'gzip, chunked', 'identity']),
  header('Expect', ['100-continue', 'other']),
  (handshake, random) => {
    set(handshake, 'Content-Length', '5')
    handshake.body = random.pick(['hello', 'he', 'hello world'])
  },
  (handshake, random) => {
    set(handshake, 'Transfer-Encoding', 'chunked')
    handshake.body = random.pick(['5\r\nhello\r\n0\r\n\r\n', '5\r\nhe', '0\r\n\r\n', 'zz\r\n'])
  },
]

const LINE_TWISTS: Twist[] = [
  (handshake, random) => (handshake.method = random.pick(['POST', 'HEAD', 'get', 'OPTIONS', 'CONNECT', 'X'])),
  (handshake, random) => (handshake.version = random.pick(['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', ''])),
  (handshake, random) => {
    const path = handshake.target
    handshake.target = random.pick([
      `${path}?token=SECRET&a=%zz`,
      `${path}#fragment`,
      `http://other.example${path}`,
      `${path}/https%3A%2F%2Fa.example%2Fx`,
      `${path}/../x`,
      `${path}//x`,
      `${path}/%00`,
      `${path}/\xff\xfe`,
      `${path}/${'x'.repeat(7000)}`,
      `${path}/;a=b`,
      '*',
      '/ws',
      '/ws/',
      '/healthz',
    ])
  },
]

const TWISTS = [...HEADER_TWISTS, ...BODY_TWISTS, ...LINE_TWISTS]

function toBytes({ method, target, version, headers, body }: Handshake): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${target} ${version}\r\n${lines.join('')}\r\n${body}`, 'latin1')
}

/** The bytes of a handshake with `path`, right or with a few twists. */
export function handshake(path: string, port: number, random: Random): Buffer {
  const made = right(path, port, random)
  if (random.chance(0.4)) for (let i = random.int(1, 2); i > 0; i--) random.pick(TWISTS)(made, random)
  return toBytes(made)
}

/** Something that is no handshake at all. */
export function noise(random: Random): Buffer {
  return random.pick<() => Buffer>([
    () => random.bytes(random.int(1, 300)),
    () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    () => Buffer.from('160301020001000102030303', 'hex'), // the beginning of a TLS handshake
    () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5)),
    () => Buffer.from('\r\n'.repeat(200)),
    () => Buffer.alloc(20_000, 'A'),
  ])()
}

/** Sends bytes at once, or in pieces with time between. Stops when the socket has ended. */
export async function send(socket: Socket, bytes: Buffer, random: Random): Promise<void> {
  const parts = random.chance(0.7) ? [bytes] : random.cut(bytes)
  for (const part of parts) {
    if (socket.destroyed) return
    socket.write(part)
    if (parts.length > 1) await pause(random.int(0, 100))
  }
}

/** Connects from one of a few addresses of this machine. */
export function dial(port: number, random: Random): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${random.int(1, 4)}` })
  socket.setNoDelay(true)
  socket.on('error', () => {})
  return socket
}
