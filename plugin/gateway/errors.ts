// What can go wrong between this program and the gateway.
const SOCKET_HINT = 'start the gateway, or say where its socket is (CONTROL_SOCKET)'
const URL_HINT = 'start the gateway with CONTROL_PORT and CONTROL_TOKEN, or say where it is (CONTROL_URL)'

/** The problem details (RFC 9457) of an answer. */
export interface Problem {
  status: number
  title?: string
  detail?: string
}

/**
 * The gateway refused a request, or could not execute it. Fastify puts `message` into its answer, so that may reach browsers and
 * holds nothing about the machine; `detail` holds all of it, for logs.
 */
export class GatewayError extends Error {
  override readonly name: string = 'GatewayError'
  readonly statusCode: number
  readonly title: string
  readonly detail: string

  constructor(
    { status, title = `HTTP ${status}`, detail = title }: Problem,
    { message = detail, cause }: ErrorOptions & { message?: string } = {},
  ) {
    super(message, { cause })
    this.statusCode = status
    this.title = title
    this.detail = detail
  }
}

/** The connection is gone, or never was; the one that an `open` is about does not exist until that has answered. */
export class GoneError extends GatewayError {
  override readonly name = 'GoneError'

  constructor(problem: Problem) {
    const { detail = 'this connection is gone' } = problem
    super(problem, { message: `${detail}; in open, send to the new socket with reply.frame(data) or reply.send(data)` })
  }
}

/** The client reads too slowly: the outbox of its connection is full, and the frame was dropped. */
export class SlowReaderError extends GatewayError {
  override readonly name = 'SlowReaderError'
}

/** There was no answer. `detail` names the address and what to do. */
export class UnreachableError extends GatewayError {
  override readonly name = 'UnreachableError'

  constructor(
    detail: string,
    { message = 'the gateway cannot be reached', cause }: ErrorOptions & { message?: string },
  ) {
    super({ status: 503, title: 'Service Unavailable', detail }, { message, cause })
  }
}

/** The error that an answer of the gateway stands for. */
export function errorOf(problem: Problem): GatewayError {
  switch (problem.status) {
    case 410:
      return new GoneError(problem)
    case 429:
      return new SlowReaderError(problem)
    default:
      return new GatewayError(problem)
  }
}

/** The error for no answer from `where`, the path of a socket or a URL: its detail is one sentence with the reason. */
export function unreachable(where: string, cause: NodeJS.ErrnoException): UnreachableError {
  if (cause.syscall !== 'connect' && cause.syscall !== 'getaddrinfo') {
    const consequence = 'it may or may not have executed the request'
    const detail = `${where} did not answer (${cause.message}): ${consequence}`
    return new UnreachableError(detail, { message: `the gateway did not answer: ${consequence}`, cause })
  }
  const isSocket = !where.startsWith('http:')
  const hint = isSocket ? SOCKET_HINT : URL_HINT
  const sentence = (): string => {
    switch (cause.code) {
      case 'ENOENT':
        return `there is no ${where}: ${hint}`
      case 'ECONNREFUSED':
        return `nothing listens on ${where}: ${hint}`
      case 'EACCES':
        return `no permission to open ${where}: be the gateway's user, or in the group of the folder`
      case 'ENOTFOUND':
        return `no address is known for ${where}: say where the gateway is (CONTROL_URL)`
      default:
        return `${where} cannot be reached (${cause.code ?? cause.message}): ${hint}`
    }
  }
  return new UnreachableError(sentence(), { cause })
}
