/** A TCP proxy in front of a port. Connections that it swallows stay open, but nothing gets through any more. */
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export type SwallowingProxy = {
  url: string
  /** Existing connections go silent for good. New ones get through. */
  swallow: () => void
  /** How many connections were swallowed and are still open on the client's side. */
  silent: () => number
}

export async function startSwallowingProxy(t: TestContext, port: number): Promise<SwallowingProxy> {
  const clients = new Map<Socket, Socket>()
  const silent = new Set<Socket>()
  const server = createServer((client) => {
    const gateway = connect(port, '127.0.0.1')
    clients.set(client, gateway)
    for (const [from, to] of [
      [client, gateway],
      [gateway, client],
    ] as const) {
      from.on('error', () => {})
      from.on('data', (data) => silent.has(client) || to.write(data))
      from.on('close', () => {
        if (from === client) clients.delete(client)
        if (from === client || !silent.has(client)) to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const client of clients.keys()) client.destroy()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    swallow: () => {
      for (const client of clients.keys()) silent.add(client)
    },
    silent: () => [...silent].filter((client) => clients.has(client)).length,
  }
}
