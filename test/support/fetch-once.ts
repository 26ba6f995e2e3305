/**
 * Fetches over a connection of its own. One that is kept may be closed by a reload at the very moment a request is
 * written to it, and fetch does not ask again.
 */
export function fetchOnce(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  headers.set('connection', 'close')
  return fetch(url, { ...init, headers })
}
