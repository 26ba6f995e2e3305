/** Runs a handler of Web requests in Node, as Next's route handlers, Hono and others do. */
import { createServer, type Server } from 'node:http'
import { Readable } from 'node:stream'

export function webServer(handler: (request: Request) => Promise<Response>): Server {
  return createServer(async (incoming, outgoing) => {
    const headers = new Headers()
    for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
    const body = Readable.toWeb(incoming) as unknown as BodyInit
    const init = { method: 'POST', headers, body, duplex: 'half' } // which the types of Node do not know
    const answer = await handler(new Request(`http://${incoming.headers.host}${incoming.url}`, init)).catch(
      () => new Response(null, { status: 500 }),
    )
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers))
    outgoing.end(Buffer.from(await answer.arrayBuffer()))
  })
}
