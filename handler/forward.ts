// What a replaced handler does with requests that still arrive on its kept-alive connections: its successor answers them.
// So the next event meets the new code, whichever connection it travels on.
import { type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

/**
 * Forwards every request of a server from now on; those that it has begun it answers itself. Each connection ends with its
 * answer (RFC 9112 section 9.6), so that the gateway opens the next one to the successor.
 * @param path the unix socket on which the successor listens
 */
export function forwardRequests(server: Server, path: string): void {
  server.removeAllListeners('request')
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    buffer(incoming).then(
      (body) => forward(path, incoming, body, outgoing),
      () => outgoing.destroy(),
    )
  })
}

/** The body goes in one piece: an empty write at its end would fail on a connection that the successor has closed after its answer. */
function forward(socketPath: string, incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse): void {
  const { method, url, headers } = incoming
  const forwarded = request({ socketPath, method, path: url, headers, agent: false }, (answer) => {
    outgoing.writeHead(answer.statusCode!, { ...answer.headers, connection: 'close' })
    answer.on('error', () => outgoing.destroy()).pipe(outgoing)
  })
  forwarded.on('error', (error: NodeJS.ErrnoException) => {
    if (isUnread(error) && !outgoing.headersSent) refuse(outgoing)
    else outgoing.destroy() // the successor may have processed it
  })
  forwarded.end(body)
}

/**
 * Whether the successor, which may be about to end too, certainly did not read all of a request: it could not be reached or written
 * to, or the kernel reports that the connection was closed over unread bytes. An end of the stream has no system call.
 */
function isUnread({ syscall, code }: NodeJS.ErrnoException): boolean {
  return syscall === 'connect' || (syscall !== undefined && (code === 'EPIPE' || code === 'ECONNRESET'))
}

/** Nothing was done: the gateway sends the event again. */
function refuse(outgoing: ServerResponse): void {
  outgoing.writeHead(503, { 'retry-after': '0', connection: 'close', 'content-length': '0' }).end()
}
