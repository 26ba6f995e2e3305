// What can go wrong between this program and the gateway.
const SOCKET_HINT = 'start the gateway, or say where its socket is (CONTROL_SOCKET)'
const URL_HINT = 'start the gateway with CONTROL_PORT and CONTROL_TOKEN, or say where it is (CONTROL_URL)'

/** The problem details (RFC 9457) of an answer. */
export interface Problem {
  status: number
  title?: string
  detail?: string
}

/** The gateway refused a request, or could not execute it. */
export class GatewayError extends Error {
  override readonly name: string = 'GatewayError'
  readonly statusCode: number
  readonly title: string
  readonly detail: string

  constructor({ status, title = `HTTP ${status}`, detail = title }: Problem, options?: ErrorOptions) {
    super(detail, options)
    this.statusCode = status
    this.title = title
    this.detail = detail
  }
}

/** The connection is gone, or never was. */
export class GoneError extends GatewayError {
  override readonly name = 'GoneError'
}

/** The client reads too slowly: the outbox of its connection is full, and the frame was dropped. */
export class SlowReaderError extends GatewayError {
  override readonly name = 'SlowReaderError'
}

/** There was no answer. The message names the address, and says what to do. */
export class UnreachableError extends GatewayError {
  override readonly name = 'UnreachableError'

  constructor(detail: string, options?: ErrorOptions) {
    super({ status: 503, title: 'Service Unavailable', detail }, options)
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

/** The error for no answer from `where`, the path of a socket or a URL: one sentence that says why. */
export function unreachable(where: string, cause: NodeJS.ErrnoException): UnreachableError {
  const isSocket = !where.startsWith('http:')
  const hint = isSocket ? SOCKET_HINT : URL_HINT
  const sentence = (): string => {
    if (cause.syscall !== 'connect' && cause.syscall !== 'getaddrinfo') {
      return `${where} did not answer (${cause.message}): it may or may not have executed the request`
    }
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
