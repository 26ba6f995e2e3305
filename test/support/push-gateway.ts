/** A gateway whose sockets report their ids, and raw HTTP with its control API. */
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { startApp } from './app.ts'
import { type Client, open } from './client.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { spread } from './workers.ts'

export type Answer = { status: number; headers: IncomingHttpHeaders; body: string; json: any }

export type Question = { body?: string | Buffer; headers?: Record<string, string | string[]>; port?: number }

export type Member = { client: Client; id: string }

export function controlSocket(gateway: Gateway): string {
  return `${gateway.run}/control/control.sock`
}

/**
 * One request to the control API: over its unix socket, or over TCP when a port is given. A worker that goes away after a
 * reload has done nothing, and is asked again, as its answer demands.
 */
export async function ask(gateway: Gateway, method: string, path: string, question: Question = {}): Promise<Answer> {
  const answer = await askOnce(gateway, method, path, question)
  const isLeaving = answer.status === 503 && answer.headers['retry-after'] === '0'
  return isLeaving ? ask(gateway, method, path, question) : answer
}

function askOnce(
  gateway: Gateway,
  method: string,
  path: string,
  { body, headers = {}, port }: Question,
): Promise<Answer> {
  const where: RequestOptions = port ? { host: '127.0.0.1', port } : { socketPath: controlSocket(gateway) }
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...where, method, path, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => {
        text += part
      })
      response.on('error', reject).on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: text,
          json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined,
        }),
      )
    })
    outgoing.on('error', reject).end(body)
  })
}

/** A gateway for tests of pushes; a socket on /ws/in/TOPIC?user=NAME gets its id in its first frame. */
export async function pushGateway(
  t: TestContext,
  env: Record<string, string> = {},
  {
    routes,
    expect = [],
    linked = true,
  }: { routes?: (app: FastifyInstance) => void; expect?: RegExp[]; linked?: boolean } = {},
): Promise<Gateway> {
  const gateway = await startGateway(t, {
    handler: false,
    expect,
    linked,
    env: { MAX_CONNECTIONS_PER_IP: 'off', ...env },
  })
  await startApp(t, gateway.handlerSocket, {
    routes: (app) => {
      app.ws('/ws/in/:topic', {
        open(request, reply) {
          const { user } = request.query as { user?: string }
          if (user) reply.user = user
          reply.subscribe((request.params as { topic: string }).topic).frame(request.event.connectionId)
        },
        message: (request) => request.body,
      })
      routes?.(app)
    },
  })
  return gateway
}

/** Opens a socket and learns its id. */
export async function join(gateway: Gateway, path: string): Promise<Member> {
  const client = await open(`${gateway.ws}/ws/in/${path}`)
  return { client, id: String(await client.next()) }
}

/** Many sockets, a few at a time. */
export async function joinMany(gateway: Gateway, path: string, count: number): Promise<Member[]> {
  const all: Member[] = []
  while (all.length < count) {
    all.push(
      ...(await Promise.all(Array.from({ length: Math.min(50, count - all.length) }, () => join(gateway, path)))),
    )
  }
  return all
}

/** `count` sockets or more, and one at least of each worker. */
export async function joinAll(gateway: Gateway, path: string, count: number, workers: number): Promise<Member[]> {
  return spread(await joinMany(gateway, path, count), workers, () => joinMany(gateway, path, 10))
}

export function leave(...members: Member[]): void {
  for (const { client } of members) client.socket.terminate()
}
