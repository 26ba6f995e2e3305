// The port where Prometheus reads what a bridge counts.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type Listen, listening } from './address.ts'
import type { Bridge, Listener } from './bridge.ts'

/** Opens the port, which answers GET /metrics. @throws {Failure} when that is not possible */
export async function serveMetrics({ counters, log }: Bridge, listen: Listen): Promise<Listener> {
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close') // a scrape in 15 s keeps no connection
    if (request.url !== '/metrics') response.writeHead(404).end()
    else if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end()
    else response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(String(counters))
  })
  await listening('--metrics', listen, once(server.listen(listen), 'listening'))
  server.on('error', (error) => log.line('metrics', `the port of --metrics reports: ${error.message}`))
  return {
    stop: () => {},
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
