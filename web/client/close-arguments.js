/** What `close` accepts. */

const MAX_REASON_BYTES = 123

/**
 * Throws as WebSocket's `close` does (websockets.spec.whatwg.org).
 * @param {number} [code]
 * @param {string} [reason]
 */
export function checkClose(code, reason = '') {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
    throw new DOMException(`close code ${code}`, 'InvalidAccessError')
  if (new TextEncoder().encode(reason).length > MAX_REASON_BYTES)
    throw new DOMException(`reason over ${MAX_REASON_BYTES} bytes`, 'SyntaxError')
}
