// A free port for a server of a test.
import { createServer } from 'node:net'

/**
 * Below the ports that the kernel gives to outgoing connections (ip(7)), and above those of meshes
 * (lua/framegate/configure/mesh_port.lua), so that neither takes one before it is used.
 */
const FIRST = 30_000
const LAST = 32_767

const given = new Set<number>()

/** A port on which nobody listens, at any address. A process never gets the same one twice. */
export async function freePort(): Promise<number> {
  while (true) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if (given.has(port)) continue
    given.add(port)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(port, () => server.close(() => resolve(true)))
  })
}
