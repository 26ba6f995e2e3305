// How the commands reach the process that runs the gateway: HTTP on a unix socket for its user alone, in a folder in which the
// workers, who may be another user, cannot put anything.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { Failure } from '../failure.ts'

const LONGEST_WAIT = 600_000

/** What can be asked for, by `METHOD /path`; the answer is JSON. */
export type Requests = Record<string, (query: URLSearchParams) => Promise<unknown>>

function socketIn(run: string): string {
  return `${run}/framegate.sock`
}

/** Answers until `close`, which waits for the answers that are under way. A Failure is told to who asked. */
export async function serveRequests(run: string, requests: Requests): Promise<{ close: () => Promise<void> }> {
  const server = createServer((incoming, outgoing) => void answer(requests, incoming, outgoing))
  const umask = process.umask(0o177)
  const listening = new Promise<void>((resolve) => server.listen(socketIn(run), resolve)) // it is made at once
  process.umask(umask)
  await listening
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
  }
}

async function answer(requests: Requests, { method, url }: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(url!, 'http://framegate')
  const respond = (status: number, value: unknown): void => {
    outgoing
      .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      .end(JSON.stringify(value ?? null))
  }
  try {
    const act = requests[`${method} ${pathname}`]
    if (!act) return respond(404, { error: 'there is no such request' })
    respond(200, await act(searchParams))
  } catch (error) {
    respond(error instanceof Failure ? 409 : 500, {
      error: error instanceof Failure ? error.message : (error as Error).stack,
    })
  }
}

/**
 * Asks the process that runs the gateway of a run directory.
 * @returns the answer; undefined when none runs there
 * @throws {Failure} what it refused, or that it ended meanwhile
 */
export function askGateway(
  run: string,
  method: 'GET' | 'POST',
  path: string,
  milliseconds = LONGEST_WAIT,
): Promise<{ value: any } | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath: socketIn(run), method, path, agent: false, timeout: milliseconds },
      (response) => {
        let text = ''
        response
          .setEncoding('utf8')
          .on('data', (part) => {
            text += part
          })
          .on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve({ value: JSON.parse(text) })
          else reject(new Failure(JSON.parse(text).error))
        })
      },
    )
    asked.once('timeout', () => asked.destroy(new Failure(`it did not answer within ${milliseconds / 1000} s`)))
    asked.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else if (error.code === 'EACCES') reject(new Failure(`it runs as another user: ask as that one, or as root`))
      else reject(error instanceof Failure ? error : new Failure(`it ended before it answered (${error.message})`))
    })
    asked.end()
  })
}
