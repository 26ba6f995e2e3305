/** A collector of traces: takes spans as OTLP over HTTP with JSON, and notes what came. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { TestContext } from 'node:test'
import { freePort } from './free-port.ts'
import { until } from './wait.ts'

export type Span = {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Record<string, string | number>
  links?: Array<{ traceId: string; spanId: string }>
  status?: { code: number; message: string }
}

export type Collector = {
  port: number
  spans: Span[]
  requests: Array<{ url: string; headers: IncomingHttpHeaders; resource: Span['attributes']; spans: number }>
  /** Changes how requests are answered: by default with 200. Spans of other answers are not noted. */
  answer: (reply: (response: ServerResponse) => void) => void
  /** Waits for this many spans, and fails when there are more. */
  received: (count: number) => Promise<Span[]>
  stop: () => Promise<void>
  start: () => Promise<void>
}

type OtlpAttribute = { key: string; value: { stringValue?: string; intValue?: string } }

function attributesOf(list: OtlpAttribute[]): Span['attributes'] {
  return Object.fromEntries(list.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]))
}

/** Listens on a port of 127.0.0.1, with TLS if there is a certificate; `t.after` ends it. */
export async function startCollector(t: TestContext, tls?: { cert: Buffer; key: Buffer }): Promise<Collector> {
  const spans: Span[] = []
  const requests: Collector['requests'] = []
  let reply = (response: ServerResponse): void => void response.writeHead(200).end('{}')
  const server = tls ? createSecureServer(tls) : createServer()
  server.on('request', async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const [{ resource, scopeSpans }] = JSON.parse(Buffer.concat(chunks).toString()).resourceSpans
    const came = scopeSpans[0].spans as Array<Omit<Span, 'attributes'> & { attributes: OtlpAttribute[] }>
    requests.push({
      url: request.url!,
      headers: request.headers,
      resource: attributesOf(resource.attributes),
      spans: came.length,
    })
    reply(response)
    if (response.statusCode === 200)
      spans.push(...came.map((span) => ({ ...span, attributes: attributesOf(span.attributes) })))
  })
  const port = await freePort()
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject).listen({ port, host: '127.0.0.1' }, resolve)
    })
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await start()
  server.unref() // a test that failed must not wait for it
  t.after(() => (server.listening ? stop() : undefined))
  return {
    port,
    spans,
    requests,
    answer: (next) => {
      reply = next
    },
    received: async (count) => {
      await until(`${count} spans came`, () => spans.length >= count, 20_000)
      if (spans.length > count)
        throw new Error(`${spans.length} spans came: ${spans.map(({ name }) => name).join(' ')}`)
      return spans
    },
    stop,
    start,
  }
}
