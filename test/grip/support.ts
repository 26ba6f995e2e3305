/** Backends as they ran behind Pushpin, and a gateway in front of them. */
import { createServer } from 'node:http'
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
      answer(context, facts)
      response.end()
    })
  })
  server.listen(0, '127.0.0.1').unref()
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    request: (what, fits) => until(what, () => seen.find(fits), 20_000),
  }
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
