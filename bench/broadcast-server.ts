/**
 * A Node `ws` server that sends whatever is posted to it to every socket.
 * It is what people write without a gateway.
 */
import { WebSocketServer } from 'ws'
import { listen } from './node-server.ts'

const server = listen()
server.on('request', (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const data = Buffer.concat(chunks).toString()
    for (const socket of sockets.clients) socket.send(data)
    response.end('{}')
  })
})
server.keepAliveTimeout = 60_000 // a burst may last longer than the default of 5 s
// What the gateway agrees on with clients that offer compression, and its level.
const perMessageDeflate = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: 1024,
  zlibDeflateOptions: { level: 1 },
}
const sockets = new WebSocketServer({ server, perMessageDeflate })
