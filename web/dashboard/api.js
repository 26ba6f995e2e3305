/** The client of the control API. Addresses are relative to the page, so a proxy can serve it under any path. */

const TIMEOUT_MS = 8_000

/** The gateway did not answer. */
export class Unreachable extends Error {}

/** The gateway refused a request. `status` is as in docs/protocol.md; the message is from the gateway. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

/**
 * @param {string} path without a slash before it, its parts percent-encoded
 * @param {{ method?: string, body?: BodyInit, type?: string, signal?: AbortSignal }} [question]
 * @returns {Promise<any>} the JSON of the answer; undefined for 204. A list without what did not answer has a `detail`
 * @throws {Unreachable | Refused | DOMException} DOMException when the signal aborted it
 */
export async function ask(path, { method = 'GET', body, type, signal } = {}) {
  const headers = type ? { 'content-type': type } : {}
  const answer = await reach(path, { method, body, headers, cache: 'no-store', redirect: 'error' }, signal)
  if (answer.ok) return answer.status === 204 ? undefined : answer.json()
  const problem = await answer.json().catch(() => ({})) // A proxy in between may answer with a page.
  if (answer.status === 504 && (problem.connections || problem.topics)) return problem
  throw new Refused(answer.status, problem.detail ?? `${answer.status} ${answer.statusText}`)
}

async function reach(path, options, signal) {
  const late = AbortSignal.timeout(TIMEOUT_MS)
  try {
    return await fetch(path, { ...options, signal: signal ? AbortSignal.any([signal, late]) : late })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Unreachable('the gateway cannot be reached')
  }
}

/** A path of the API. Names may contain anything. @param {...string} parts */
export function path(...parts) {
  return parts.map(encodeURIComponent).join('/')
}
