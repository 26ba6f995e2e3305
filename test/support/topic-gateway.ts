/** What the tests of pushes share: a gateway whose sockets subscribe to a topic, and the control API. */
import { request } from 'node:http'
import type { TestContext } from 'node:test'
import { startApp } from './app.ts'
import { type Client, open } from './client.ts'
import { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
import { until } from './wait.ts'

export type Counts = { delivered: number; dropped: number }

/** One request to the control API over its unix socket. */
export async function control(
  gateway: Gateway,
  method: string,
  path: string,
  body = '',
): Promise<{ status: number; json: any }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: `${gateway.run}/control/control.sock`,
        method,
        path,
        agent: false,
        headers: { 'content-type': 'text/plain' },
      },
      (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode!, json: text ? JSON.parse(text) : undefined }))
        response.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** A gateway of 4 workers; a socket on /ws/topic/NAME subscribes to NAME and is told its id in its first frame. */
export async function topicGateway(t: TestContext, options: GatewayOptions = {}): Promise<Gateway> {
  const gateway = await startGateway(t, {
    ...options,
    handler: false,
    env: { WORKERS: '4', MAX_CONNECTIONS_PER_IP: 'off', ...(options.env as Record<string, string>) },
  })
  await startApp(t, gateway.handlerSocket, {
    routes: (app) =>
      app.ws('/ws/topic/:name', {
        open(request, reply) {
          reply.subscribe((request.params as { name: string }).name)
          reply.frame(request.event!.connectionId)
        },
        message: (request) => request.body,
      }),
  })
  return gateway
}

/** Opens sockets a few at a time; the id of each is its first frame. */
export async function subscribers(
  gateway: Gateway,
  count: number,
  topic = 'news',
): Promise<Array<{ client: Client; id: string }>> {
  const all: Array<{ client: Client; id: string }> = []
  while (all.length < count) {
    all.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(50, count - all.length) }, async () => {
          const client = await open(`${gateway.ws}/ws/topic/${topic}`)
          return { client, id: String(await client.next()) }
        }),
      )),
    )
  }
  return all
}

/** Opens sockets, `count` or more, until each worker has one of them: the kernel decides which worker gets which. */
export async function subscribersOfAll(
  gateway: Gateway,
  count: number,
  workers: number,
): Promise<Array<{ client: Client; id: string }>> {
  const all = await subscribers(gateway, count)
  const holders = (): number => new Set(all.map(({ id }) => id.slice(0, 10))).size
  await until(
    'each worker has a socket',
    async () => holders() === workers || !all.push(...(await subscribers(gateway, 10))),
  )
  return all
}
