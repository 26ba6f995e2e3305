/** What these tests share: a gateway whose handler allows sessions, and clients that a test holds in its hand. */
import type { TestContext } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, type Reply, type SeenEvent, startProbeHandler } from '../support/probe-handler.ts'
import type { HandshakeOptions } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

export type Stage = {
  gateway: Gateway
  handler: ProbeHandler
  /** A client that has opened a session. */
  enter: (path: string, options?: HandshakeOptions) => Promise<SessionClient>
  /** The events of this kind so far. */
  events: (type: string) => SeenEvent[]
  /** The id of the socket that was opened at this path last. */
  idOf: (path: string) => string
}

export type StageOptions = {
  env?: Record<string, string>
  /** The value of ws-session, and more headers of the answer to open. */
  allow?: string
  headers?: Record<string, string>
  /** Answers what is neither open nor message; 204 without it. */
  reply?: Reply
  expect?: RegExp[]
}

export async function startStage(t: TestContext, options: StageOptions = {}): Promise<Stage> {
  const { env, allow = '60', headers, reply, expect } = options
  const gateway = await startGateway(t, {
    handler: false,
    env: { MAX_CONNECTIONS_PER_IP: 'off', ...env },
    expect,
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.message')
      return void response.writeHead(200, { 'content-type': 'text/plain' }).end(`re ${event.body}`)
    if (event.type === 'framegate.open') return void response.writeHead(204, { 'ws-session': allow, ...headers }).end()
    return reply ? reply(event, response, request) : void response.writeHead(204).end()
  })
  const events = (type: string) => handler.events.filter((event) => event.type === `framegate.${type}`)
  const clients: SessionClient[] = []
  t.after(() => clients.forEach((client) => void client.cut()))
  return {
    gateway,
    handler,
    events,
    enter: async (path, how) => {
      const client = await new SessionClient(gateway.port, path, how).dial()
      clients.push(client)
      return client
    },
    idOf: (path) => String(events('open').findLast(({ url }) => url === path)!.headers['ce-connectionid']),
  }
}

/** What a client sends and gets when both sides of its session are well. */
export async function isWell(client: SessionClient, word: string): Promise<boolean> {
  client.send(word)
  return (await client.next()) === `re ${word}`
}

/**
 * Dials until the gateway has moved the session to where the client came to: 503 asks for another attempt. A handshake
 * of before may also come later and take the session over.
 */
export async function comeBack(client: SessionClient): Promise<SessionClient> {
  const dial = () =>
    client.dial().catch((error): undefined => {
      if (!/got 503|connection ended/.test(String(error))) throw error
    })
  return until('the session has moved', dial, 20_000)
}

/** Cuts the client off, and waits until the gateway has noticed. */
export async function cutOff(stage: Stage, client: SessionClient, path: string): Promise<string> {
  const id = stage.idOf(path)
  client.cut()
  await until('its client is away', async () => {
    const { json } = await control(stage.gateway, 'GET', `/connections/${id}`)
    return json.session?.away >= 0
  })
  return id
}

/** Pushes a frame to one socket; the status of the answer. */
export async function pushTo(stage: Stage, id: string, text: string): Promise<number> {
  return (await control(stage.gateway, 'POST', `/connections/${id}`, text)).status
}
