// The supervisor's socket: commands reach the process that runs the gateway by HTTP on a unix socket.
// Only its user can open it. The workers may run as another user, and they cannot write to its folder.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { exchange, TimeoutError } from '../../plugin/gateway/exchange.ts'
import { Failure } from '../failure.ts'

const TIMEOUT_MS = 600_000

/** What each request does, by `METHOD /path`; the result is sent as JSON. */
export type Routes = Record<string, (query: URLSearchParams) => Promise<unknown>>

function socketIn(run: string): string {
  return `${run}/framegate.sock`
}

/** Answers until `close`, which waits for open requests. A Failure is sent to the command that asked. */
export async function serveSupervisor(run: string, routes: Routes): Promise<{ close: () => Promise<void> }> {
  const server = createServer((incoming, outgoing) => void answer(routes, incoming, outgoing))
  const umask = process.umask(0o177)
  const listening = new Promise<void>((resolve) => server.listen(socketIn(run), resolve)) // creates the file before it returns
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

async function answer(routes: Routes, { method, url }: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(url!, 'http://framegate')
  const respond = (status: number, value: unknown): void => {
    outgoing
      .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      .end(JSON.stringify(value ?? null))
  }
  try {
    const act = routes[`${method} ${pathname}`]
    if (!act) return respond(404, { error: 'unknown request' })
    respond(200, await act(searchParams))
  } catch (error) {
    respond(error instanceof Failure ? 409 : 500, {
      error: error instanceof Failure ? error.message : (error as Error).stack,
    })
  }
}

/**
 * Asks the process that runs the gateway of a run directory.
 * @returns the answer, which the caller knows the type of; undefined when no gateway runs there
 * @throws {Failure} what it refused, or that it exited before it answered
 */
export async function askSupervisor<T>(
  run: string,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs = TIMEOUT_MS,
): Promise<{ value: T } | undefined> {
  const answer = await exchange(`unix:${socketIn(run)}`, { method, path, timeoutMs }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return undefined
      throw failureOf(error)
    },
  )
  if (!answer) return undefined
  const value = JSON.parse(answer.body)
  if (answer.status !== 200) throw new Failure(value.error)
  return { value }
}

function failureOf(error: NodeJS.ErrnoException): Failure {
  if (error instanceof TimeoutError) return new Failure(`the gateway did not answer: ${error.message}`)
  if (error.code === 'EACCES')
    return new Failure('the gateway belongs to another user: run this command as that user, or as root')
  return new Failure(`the gateway exited before it answered (${error.message})`)
}
