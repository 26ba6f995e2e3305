/** What the bench's Node servers have in common: where they listen, and how they end. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** Listens on a free port and reports it to the parent. With names of PEM files, it speaks TLS. */
export function listen(certificate?: string, key?: string): Server {
  const server = certificate
    ? createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key!) })
    : createServer()
  server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }))
  // The section idle measures memory without garbage.
  process.on('SIGUSR2', () => globalThis.gc?.())
  process.on('disconnect', () => process.exit())
  return server
}
