/** Backends as they ran behind Pushpin, and a gateway in front of them. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { WebSocketContext } from '@fanoutio/grip'
import { ServeGrip } from '@fanoutio/serve-grip'
import { freePort } from '../support/free-port.ts'
import { type Gateway, type GatewayOptions, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'

export const KEY = 'shared-with-backends'
export const TOKEN = '0123456789abcdef'

/** A request of the gateway: what the library has made of it. */
export type Seen = {
  /** The types of its events, in order. */
  types: string[]
  headers: Record<string, string | string[] | undefined>
  path: string
  isProxied: boolean
  context: WebSocketContext
}

export type Backend = {
  url: string
  seen: Seen[]
  /** The first request that fits, now or later. */
  request: (what: string, fits: (seen: Seen) => boolean) => Promise<Seen>
}

/** A backend with the unmodified middleware. `answer` is given each request in WebSocket-over-HTTP. */
export async function startBackend(
  t: TestContext,
  answer: (context: WebSocketContext, seen: Seen) => void,
): Promise<Backend> {
  const seen: Seen[] = []
  const serveGrip = new ServeGrip({
    grip: { control_uri: 'http://127.0.0.1:1/', verify_iss: 'pushpin', verify_key: KEY },
    gripProxyRequired: true,
  })
  const server = createServer((request, response) => {
    serveGrip.exec(request, response, (error) => {
      const { wsContext: context, isProxied } = request.grip ?? {}
      if (error || !context) return void response.writeHead(500).end(String(error))
      const types = context._inEvents.map(({ type }) => type)
      const facts = { types, headers: request.headers, path: request.url!, isProxied: isProxied === true, context }
      seen.push(facts)
      try {
        answer(context, facts)
      } catch {
        response.statusCode = 500 // so does the library with a client that has vanished
      }
      response.end()
    })
  })
  return { url: await listen(t, server), seen, request: finder(seen) }
}

async function listen(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1').unref()
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function finder<Item>(items: Item[]): (what: string, fits: (item: Item) => boolean) => Promise<Item> {
  return (what, fits) => until(what, () => items.find(fits), 20_000)
}

/** A gateway whose sockets all belong to one backend that speaks GRIP; its control API on a port. */
export async function startGripGateway(
  t: TestContext,
  url: string,
  { env = {}, ...options }: GatewayOptions & { env?: Record<string, string> } = {},
): Promise<Gateway & { control: string }> {
  const port = await freePort()
  const gateway = await startGateway(t, {
    ...options,
    handler: false,
    env: {
      HANDLER_URL: url,
      HANDLER_PROTOCOL: 'grip',
      GRIP_KEY: KEY,
      CONTROL_PORT: `127.0.0.1:${port}`,
      CONTROL_TOKEN: TOKEN,
      ...env,
    },
  })
  return Object.assign(gateway, { control: `http://127.0.0.1:${port}` })
}

/** A request as bytes. */
export type Raw = { path: string; headers: Record<string, string | string[] | undefined>; body: string }

export type RawAnswer = {
  status?: number
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  /** Closes the connection in place of an answer. */
  isLost?: boolean
}

export type RawBackend = {
  url: string
  requests: Raw[]
  request: (what: string, fits: (raw: Raw) => boolean) => Promise<Raw>
}

/** A backend of the test's own: exactly these bytes. Bodies are in latin1. */
export async function startRawBackend(t: TestContext, answer: (raw: Raw) => RawAnswer): Promise<RawBackend> {
  const requests: Raw[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request
      .on('data', (chunk) => chunks.push(chunk))
      .on('end', () => {
        const raw = { path: request.url!, headers: request.headers, body: Buffer.concat(chunks).toString('latin1') }
        requests.push(raw)
        const { status = 200, headers = {}, body = '', isLost } = answer(raw)
        if (isLost) return void request.socket.destroy()
        const type = status === 200 ? { 'content-type': 'application/websocket-events' } : {}
        response
          .writeHead(status, { ...type, ...headers })
          .end(typeof body === 'string' ? Buffer.from(body, 'latin1') : body)
      })
  })
  return { url: await listen(t, server), requests, request: finder(requests) }
}

/** Opens, and answers everything else with what the function gives. */
export function afterOpen(headers: Record<string, string>, answer: (raw: Raw) => RawAnswer): (raw: Raw) => RawAnswer {
  return (raw) => (raw.body === 'OPEN\r\n' ? { headers, body: 'OPEN\r\n' } : answer(raw))
}

/** Publishes as a program would without a library. */
export async function publish(
  { control }: { control: string },
  body: unknown,
  { token = KEY, accept = '*/*', path = '/publish/' } = {},
): Promise<{ status: number; text: string; type: string | null }> {
  const response = await fetch(control + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, accept },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type') }
}

/** An event of WebSocket-over-HTTP. */
export function event(type: string, content: string): string {
  return `${type} ${Buffer.byteLength(content).toString(16)}\r\n${content}\r\n`
}
