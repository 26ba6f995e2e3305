/**
 * Fetches over a connection of its own. One that is kept may be closed by a reload at the very moment a request is
 * written to it, and fetch does not ask again.
 */
export function fetchOnce(url: string): Promise<Response> {
  return fetch(url, { headers: { connection: 'close' } })
}
