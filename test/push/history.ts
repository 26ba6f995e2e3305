/** What the tests of kept topics share. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, pushGateway } from '../support/push-gateway.ts'

export type Message = { position: string; time: string; type: string; text?: string; base64?: string }
export type Kept = { status: number; messages: Message[]; position: string }

/** Sockets on /ws/from/TOPIC?last=&after=&else= subscribe with history, after the answer `hello`. */
export function historyRoutes(app: FastifyInstance): void {
  app.post('/ws/from/:topic', (request, reply) => {
    const wanted = Object.entries(request.query as Record<string, string>).map(([name, value]) => `;${name}=${value}`)
    const { topic } = request.params as { topic: string }
    reply
      .header('ws-subscribe', `${topic}${wanted.join('')}`)
      .type('text/plain')
      .send('hello')
  })
}

/** A gateway with those. */
export async function historyGateway(
  t: TestContext,
  env: Record<string, string>,
  expect: RegExp[] = [],
): Promise<Gateway> {
  return pushGateway(t, env, { expect, routes: historyRoutes })
}

export async function publish(gateway: Gateway, topic: string, body: string, query = ''): Promise<any> {
  const { status, json } = await ask(gateway, 'POST', `/topics/${topic}${query}`, { body })
  assert.equal(status, 200)
  return json
}

export async function kept(gateway: Gateway, topic: string, query = ''): Promise<Kept> {
  const { status, json } = await ask(gateway, 'GET', `/topics/${topic}/messages${query}`)
  return { status, ...json }
}

export async function take(client: Client, count: number): Promise<string[]> {
  const all: string[] = []
  while (all.length < count) all.push(String(await client.next()))
  return all
}

export type Flood = { publishers: number; each: number; name?: string }

/** More frames than any socket still waits for when the flood is over. */
export const TAIL = 1000

/** Publishes numbered frames from several publishers at a time. */
export async function flood(gateway: Gateway, topic: string, { publishers, each, name = '' }: Flood) {
  const batches = each / 100
  await Promise.all(
    Array.from({ length: publishers }, async (_, publisher) => {
      for (let batch = 0; batch < batches; batch++) {
        const elements = Array.from({ length: 100 }, (_, i) => ({
          path: `/topics/${topic}`,
          text: `${name}${publisher}:${batch * 100 + i}`,
        }))
        const { status, json } = await ask(gateway, 'POST', '/batch', { body: JSON.stringify(elements) })
        assert.equal(status, 200)
        for (const part of json) assert.equal(part.status, 200)
      }
    }),
  )
}

/** Subscribes with history, and takes frames: the first of them come from the store, the others live. */
export async function takeRun(gateway: Gateway, path: string, count: number): Promise<string[]> {
  const client = await open(`${gateway.ws}/ws/from/${path}`)
  assert.equal(await client.next(), 'hello')
  const frames = await take(client, count)
  client.socket.terminate()
  return frames
}
