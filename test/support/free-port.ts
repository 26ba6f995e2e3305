// A free port for a server of a test.
import { createServer, type ListenOptions, type Server } from 'node:net'

/**
 * Nobody else takes one of these between its choice and its use: the workers of a gateway link over a port below 30000
 * (lua/framegate/configure/mesh_port.lua), and the kernel gives those above 32767 to outgoing connections (ip(7)).
 */
const FIRST = 30_000
const LAST = 32_767

/** A port on which nobody listens, at any address. It is given once, to one of all processes of tests that run. */
export async function freePort(): Promise<number> {
  while (true) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if ((await reserve(port)) && (await isFree(port))) return port
  }
}

/** Reserves the port with an abstract unix socket (unix(7)), which the kernel closes when this process ends. */
async function reserve(port: number): Promise<boolean> {
  const server = await listen({ path: `\0framegate-test-port-${port}` })
  server?.unref()
  return server !== undefined
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port })
  if (server) await new Promise((resolve) => server.close(resolve))
  return server !== undefined
}

/** Undefined where somebody listens already. */
function listen(where: ListenOptions): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(where, () => resolve(server))
  })
}
