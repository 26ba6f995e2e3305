/** A TCP proxy in front of a port that cuts each connection after some bytes, wherever they are, until it is told to stop. */
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Random } from '../fuzz/random.ts'

export type CuttingProxy = {
  port: number
  /** Connections that it has cut. */
  cuts: () => number
  /** New connections are left alone. */
  rest: () => void
}

export async function startCuttingProxy(
  t: TestContext,
  port: number,
  random: Random,
  most: number,
): Promise<CuttingProxy> {
  const clients = new Set<Socket>()
  let cuts = 0
  let isCutting = true
  const server = createServer((client) => {
    const gateway = connect(port, '127.0.0.1')
    let left = isCutting ? random.int(1, most) : Number.POSITIVE_INFINITY
    clients.add(client)
    const cut = (): void => {
      cuts += 1
      client.destroy()
      gateway.destroy()
    }
    for (const [from, to] of [
      [client, gateway],
      [gateway, client],
    ] as const) {
      from.on('error', () => {})
      from.on('data', (data) => {
        if (to.destroyed) return
        if (data.length < left) to.write(data)
        else to.write(data.subarray(0, left), cut)
        left -= data.length
      })
      from.on('close', () => {
        clients.delete(client)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return {
    port: (server.address() as { port: number }).port,
    cuts: () => cuts,
    rest: () => {
      isCutting = false
    },
  }
}
