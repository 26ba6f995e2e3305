// The sockets of an app, in the order in which `app.ws` has added them.
import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { SocketSchema } from '../websocket/route-types.ts'

/** What is told of a socket in a document. */
export interface DescribedSocket {
  /** The instance to which it was added, for the schemas that it shares. */
  app: FastifyInstance
  /** With the prefixes of all plugins around it. */
  path: string
  schema: SocketSchema
  /** Whether clients may send messages, and whether every answer streams. */
  takesMessages: boolean
  streams: boolean
}

const sockets = new WeakMap<Server, DescribedSocket[]>()

/** All sockets of the app, also those of its plugins. */
export function socketsOf({ server }: FastifyInstance): DescribedSocket[] {
  let all = sockets.get(server)
  if (!all) sockets.set(server, (all = []))
  return all
}

/** Notes a socket. `path` is the one within the instance. */
export function describeSocket(app: FastifyInstance, path: string, facts: Omit<DescribedSocket, 'app' | 'path'>): void {
  const isRoot = path === '/' && app.prefix !== ''
  socketsOf(app).push({ app, path: isRoot ? app.prefix : app.prefix + path, ...facts })
}
