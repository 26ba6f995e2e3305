// What a route allows its sockets: to outlive their connections.

export interface SessionOptions {
  /** How long a socket is kept without a connection: seconds, or with a unit, such as `'2m'`. */
  keep: number | string
  /**
   * Whether `resume`, and the hooks of the route, are asked before a client gets its socket back. An error refuses it
   * and ends the socket. Use it where a sign-in can end: otherwise the gateway compares cookies and `authorization`.
   */
  check?: boolean
}

/** What `session` in `app.ws` takes. */
export type SessionOption = SessionOptions | SessionOptions['keep']

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600 }

/**
 * The value of `ws-session`: seconds, and how the handler takes part.
 * @throws {TypeError} for a time that is not 1 s or more, in whole seconds
 */
export function sessionHeader(option: SessionOption, notify: boolean): string {
  const { keep, check } = typeof option === 'object' ? option : { keep: option, check: false }
  const mode = check ? ';check' : notify ? ';notify' : ''
  return `${secondsOf(keep)}${mode}`
}

function secondsOf(keep: number | string): number {
  const [, count, unit = 's'] = /^(\d+)([smh])?$/.exec(String(keep)) ?? []
  const seconds = Number(count) * SECONDS[unit]!
  if (!(seconds >= 1)) throw new TypeError(`session must be a time such as '90s' or '2m', got ${String(keep)}`)
  return seconds
}
