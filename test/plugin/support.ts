// An app with the plugin, and events for it.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import websocket, { MediaType, type WebsocketOptions } from '../../plugin/index.ts'

export type App = Awaited<ReturnType<typeof buildApp>>

/** An app with the plugin and nothing else, closed when the test ends. */
export async function buildApp(t: TestContext, options: FastifyServerOptions & WebsocketOptions = {}) {
  const { batch, secret, ...server } = options
  const app = Fastify(server).withTypeProvider<TypeBoxTypeProvider>()
  t.after(() => app.close())
  await app.register(websocket, { batch, ...(secret !== undefined && { secret }) })
  return app
}

export type Kind = 'open' | 'message' | 'alarm' | 'detach' | 'resume' | 'close' | 'timer'

/** What `app.inject` takes for an event; the payload goes out as it is, as a text frame unless it is a Buffer. */
export function event(kind: Kind, url: string, payload?: string | Buffer, headers: Record<string, string> = {}) {
  const type: Record<string, string> =
    payload === undefined
      ? {}
      : { 'content-type': Buffer.isBuffer(payload) ? 'application/octet-stream' : hint(payload) }
  return {
    method: 'POST' as const,
    url,
    headers: { 'ce-type': `framegate.${kind}`, 'ce-id': 'c1/1', ...type, ...headers },
    ...(payload !== undefined && { payload }),
  }
}

/** The content type that the gateway gives a text frame. */
export function hint(text: string): string {
  return /^\s*[{[]/.test(text) ? 'application/json' : 'text/plain; charset=utf-8'
}

/** The effects of an answer that came as a document. */
export function effectsIn(answer: { headers: http.OutgoingHttpHeaders; body: string }): unknown[] {
  if (answer.headers['content-type'] !== MediaType.effects)
    throw new Error(`no effects document: ${answer.headers['content-type']}`)
  return JSON.parse(answer.body).effects
}

export async function listen(app: FastifyInstance<any, any, any, any, any>, host = '127.0.0.1'): Promise<number> {
  await app.listen({ host, port: 0 })
  return (app.server.address() as AddressInfo).port
}

export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: Buffer
}

/** One request over a real connection. Rejects when the connection breaks before the answer is complete. */
export async function request(port: number, options: http.RequestOptions, body?: string | Buffer): Promise<Answer> {
  const outgoing = http.request({ host: '127.0.0.1', port, method: 'POST', ...options })
  outgoing.end(body)
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return { status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }
}

export interface Line {
  id: string
  status: number
  headers: Record<string, string | string[]>
  body?: string
  body_base64?: string
}

export const batchRequest = { path: '/', headers: { 'content-type': MediaType.batch } }

/** Sends a batch and returns its lines by their id. */
export async function sendBatch(port: number, events: unknown[]): Promise<Map<string, Line>> {
  const answer = await request(port, batchRequest, JSON.stringify(events))
  if (answer.status !== 200) throw new Error(`batch refused: ${answer.status} ${answer.body}`)
  const lines = answer.body
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)
  return new Map(lines.map((line) => [line.id, line]))
}
