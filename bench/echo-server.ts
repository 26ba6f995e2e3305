/** A Node `ws` server that sends every message back. It has no handler, so it is the practical limit of a gateway. */
import { WebSocketServer } from 'ws'
import { listen } from './node-server.ts'

const server = new WebSocketServer({ server: listen(), perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
