// framegate/events behind a real gateway, in frameworks that read requests and write answers in different ways.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import express from 'express'
import Koa from 'koa'
import {
  Close,
  type CloseEvent,
  type EventHandler,
  type GatewayEvent,
  HttpError,
  Reply,
  readEvent,
  toNodeHandler,
  toWebHandler,
} from '../../../plugin/events/index.ts'
import { Client, open } from '../../support/client.ts'
import { type Gateway, startGateway } from '../../support/gateway.ts'
import { until } from '../../support/wait.ts'
import { webServer } from '../../support/web-server.ts'

/** Counts frames in the state, and does something of every kind. */
function chat(event: GatewayEvent, reply: Reply, query: URLSearchParams): ReturnType<EventHandler> {
  switch (event.type) {
    case 'open':
      if (!query.has('name')) throw new HttpError(400, 'expected ?name=')
      reply.user = query.get('name')
      reply.state = '0'
      reply.subscribe('lobby', { last: 1 })
      return `welcome ${reply.user}`
    case 'message':
      return typeof event.frame === 'string' ? said(event.frame, reply) : event.frame
    case 'alarm':
      throw new Close(4408, 'too slow')
    default:
      return undefined
  }
}

function said(text: string, reply: Reply): ReturnType<EventHandler> {
  if (text === 'fail') throw new HttpError(422, 'no such thing')
  if (text === 'soon') return void reply.alarm(0.01)
  reply.state = String(Number(reply.state) + 1)
  if (text.startsWith('all: ')) return void reply.publish('lobby', text)
  return `${reply.state}: ${text}`
}

type Answering = (event: GatewayEvent, reply: Reply, url: string) => ReturnType<EventHandler>

const SERVERS: Record<string, (answering: Answering) => Server> = {
  'node:http': (answering) => createServer(toNodeHandler((event, reply, { url }) => answering(event, reply, url!))),

  'Express with a body parser for JSON': (answering) => {
    const app = express().use(express.json())
    app.post(
      '/ws/:room',
      toNodeHandler((event, reply, request: express.Request) => answering(event, reply, request.url)),
    )
    return createServer(app)
  },

  Koa: (answering) => {
    const app = new Koa()
    app.use(async (context) => {
      const event = await readEvent(context.req)
      const reply = new Reply(event)
      const answer = await Promise.resolve()
        .then(() => answering(event, reply, context.url))
        .then(
          (frame) => reply.answer(frame ?? undefined),
          (error) => reply.answerError(error),
        )
      context.set(answer.headers)
      context.body = answer.body
      context.status = answer.status
    })
    return createServer(app.callback())
  },

  'a Web handler': (answering) => webServer(toWebHandler((event, reply, { url }) => answering(event, reply, url))),
}

/** Starts the server and a gateway in front of it. */
async function start(t: TestContext, server: Server): Promise<Gateway> {
  server.listen(0, '127.0.0.1')
  t.after(() => server.close().closeAllConnections())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const env = { HANDLER_URL: `http://127.0.0.1:${port}`, HISTORY: 'lobby=10/1m' }
  return startGateway(t, { handler: false, env })
}

for (const [framework, serve] of Object.entries(SERVERS)) {
  test(`every event and effect works with ${framework}`, async (t) => {
    const closes: CloseEvent[] = []
    const server = serve((event, reply, url) => {
      if (event.type === 'close') closes.push(event)
      return chat(event, reply, new URL(url, 'http://handler').searchParams)
    })
    const gateway = await start(t, server)
    const url = `${gateway.ws}/ws/lobby`

    await assert.rejects(new Client(url).opened, /400/)
    const ada = await open(`${url}?name=Ada`)
    assert.equal(await ada.next(), 'welcome Ada')
    assert.deepEqual(await ada.ask(Buffer.from([0xff, 0x00])), Buffer.from([0xff, 0x00]))
    for (const [i, text] of ['Grüße', '{"a":1}', '', 'x'.repeat(200_000)].entries())
      assert.equal(await ada.ask(text), `${i + 1}: ${text}`)
    assert.equal(await ada.ask('all: hi'), 'all: hi')
    assert.deepEqual(JSON.parse(String(await ada.ask('fail'))), {
      statusCode: 422,
      error: 'Unprocessable Entity',
      message: 'no such thing',
    })

    const bob = await open(`${url}?name=Bob`)
    assert.deepEqual([await bob.next(), await bob.next()], ['welcome Bob', 'all: hi'], 'with what the topic keeps')
    bob.socket.send('soon')
    assert.deepEqual(await bob.closed, { code: 4408, reason: 'too slow' })
    await ada.close(4000, 'so long')
    await until('both closes have come', () => closes.length === 2)
    assert.deepEqual(closes.map(({ closeCode, closeReason, state }) => [closeCode, closeReason, state]).sort(), [
      [4000, 'so long', '5'],
      [4408, 'too slow', '0'],
    ])
  })
}
