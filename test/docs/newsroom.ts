/** The two sockets of docs/protocol.md's lines for the control API. */
import type { TestContext } from 'node:test'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'

/** Their ids on the page, in the order in which the gateway lists them. */
export const ADA = 'UR9_o8RS3y4ga6x5907nMPvmUX_1vjE4'
export const BOB = 'UR9_o8RS3yMZ0t2rGqYv1bKcWd8LpHs5'

export type Newsroom = {
  ada: Client
  bob: Client
  /** A command of the page, as it is for this gateway. */
  toGateway: (command: string) => string
  /** What was printed, as it is on the page; numbers of seconds, and points in time, become the same. */
  toPage: (text: string) => string
}

/** Opens two sockets that subscribe to `news`; the one whose id comes first is Ada's. */
export async function newsroom(t: TestContext, gateway: Gateway, controlPort: number): Promise<Newsroom> {
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open') return void response.writeHead(204, { 'ws-subscribe': 'news' }).end()
    if (event.type === 'framegate.close') return void response.writeHead(204).end()
    response.writeHead(200, { 'ws-user': String(event.body), 'content-type': 'text/plain' }).end('hello')
  })
  const clients = [await open(`${gateway.ws}/ws/news`), await open(`${gateway.ws}/ws/news`)]
  const ids = handler.events.map((event) => String(event.headers['ce-connectionid']))
  const order = ids[0]! < ids[1]! ? [0, 1] : [1, 0]
  const [ada, bob] = order.map((i) => clients[i]!) as [Client, Client]
  await Promise.all([ada.ask('Ada'), bob.ask('Bob')])
  const [adaId, bobId] = order.map((i) => ids[i]!) as [string, string]
  return {
    ada,
    bob,
    toGateway: (command) =>
      command
        .replaceAll(ADA, adaId)
        .replaceAll(BOB, bobId)
        .replaceAll('run/control/control.sock', `${gateway.run}/control/control.sock`)
        .replaceAll('http://localhost:8081', `http://127.0.0.1:${controlPort}`),
    toPage: (text) =>
      text
        .replaceAll(adaId, ADA)
        .replaceAll(bobId, BOB)
        .replaceAll(`"${adaId.slice(0, 4)}"`, `"${ADA.slice(0, 4)}"`)
        .replace(/"(age|idle)":\d+/g, '"$1":4')
        .replace(/"duration":[\d.]+/g, '"duration":7.333')
        .replace(/"(opened|time)":"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z"/g, '"$1":"2026-11-20T10:00:00.123Z"'),
  }
}
