/** A handler that sends exactly the bytes a test gives it, for what no HTTP server would send. */
import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { until } from './wait.ts'

export type BareEvent = {
  /** open, message or close; batch for a request with many events. */
  kind: string
  id: string
  head: string
  body: string
  /** How many events came before it on the same connection. */
  turn: number
}

export type BareReply = (event: BareEvent, socket: Socket) => void

export type BareHandler = {
  events: BareEvent[]
  /** The first event that fits, now or later. */
  seen: (kind: string, fits?: (event: BareEvent) => boolean) => Promise<BareEvent>
}

export const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n'

/** A response with a body of this type. */
export function response(body: string, headers = 'content-type: text/plain\r\n', status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

function read(head: string, body: string, turn: number): BareEvent {
  const header = (name: string): string => new RegExp(`\r\n${name}: ([^\r\n]*)`, 'i').exec(head)?.[1] ?? ''
  const kind = header('ce-type').replace('framegate.', '') || 'batch'
  return { kind, id: header('ce-id'), head, body, turn }
}

/** Listens on a unix socket or port; `t.after` ends it. */
export async function startBareHandler(
  t: TestContext,
  listen: string | number,
  reply: BareReply,
): Promise<BareHandler> {
  const events: BareEvent[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let buffer = ''
    let turn = 0
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      buffer += chunk
      while (true) {
        const end = buffer.indexOf('\r\n\r\n')
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(buffer)?.[1] ?? 0)
        if (end < 0 || buffer.length < end + 4 + length) return
        const event = read(buffer.slice(0, end), buffer.slice(end + 4, end + 4 + length), turn++)
        buffer = buffer.slice(end + 4 + length)
        events.push(event)
        reply(event, socket)
      }
    })
  })
  server.unref()
  if (typeof listen === 'string') rmSync(listen, { force: true })
  await new Promise<void>((resolve) =>
    server.listen(typeof listen === 'string' ? { path: listen } : { port: listen, host: '127.0.0.1' }, resolve),
  )
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    events,
    seen: (kind, fits = () => true) =>
      until(`the event ${kind}`, () => events.find((event) => event.kind === kind && fits(event)), 20_000),
  }
}

/** Answers open, with batches if they are wanted, and close with 204, and messages as the test says. */
export function messages(reply: BareReply, batch = false): BareReply {
  return (event, socket) => {
    if (event.kind !== 'message' && event.kind !== 'batch')
      return void socket.write(batch ? 'HTTP/1.1 204 No Content\r\nws-batch: 1\r\n\r\n' : NO_CONTENT)
    reply(event, socket)
  }
}
