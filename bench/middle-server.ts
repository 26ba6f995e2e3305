/**
 * A small `ws` server that sends the handler one `undici` request per message, in order for each socket.
 * It is what people use instead of framegate.
 * Usage: middle-server.ts <the handler's unix socket> [<certificate> <key>]
 */
import { randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { listen } from './node-server.ts'

const [handler, certificate, key] = process.argv.slice(2)
const pool = new Pool('http://handler', { socketPath: handler!, connections: 64 })
const server = new WebSocketServer({ server: listen(certificate, key), perMessageDeflate: false })

server.on('connection', (socket, request) => {
  const connection = {
    id: randomUUID(),
    path: request.url!,
    host: request.headers.host!,
    address: request.socket.remoteAddress!,
  }
  let number = 0
  let last = Promise.resolve()
  socket.on('message', (data, isBinary) => {
    const event = ++number
    last = last.then(() => forward(socket, connection, event, data, isBinary)).catch(() => socket.close(1011))
  })
})

type Connection = { id: string; path: string; host: string; address: string }

async function forward(
  socket: WebSocket,
  connection: Connection,
  number: number,
  data: RawData,
  isBinary: boolean,
): Promise<void> {
  const answer = await pool.request({
    method: 'POST',
    path: connection.path,
    headers: {
      host: connection.host,
      'x-forwarded-for': connection.address,
      'content-type': isBinary ? 'application/octet-stream' : 'text/plain; charset=utf-8',
      'ce-specversion': '1.0',
      'ce-type': 'framegate.message',
      'ce-source': '/middle-server',
      'ce-id': `${connection.id}/${number}`,
      'ce-connectionid': connection.id,
      'ce-eventnumber': String(number),
      'ce-time': new Date().toISOString(),
    },
    body: data as Buffer,
  })
  socket.send(await answer.body.text())
}
