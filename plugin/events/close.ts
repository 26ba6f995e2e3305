// Close codes and reasons that a handler may choose.
import { decode, EffectHeader, encode } from '../headers.ts'

const MAX_REASON_BYTES = 123 // RFC 6455 5.5: a control frame holds 125 bytes, two of them are the code

/**
 * Checks a close code and reason that a handler chose.
 * @throws {RangeError} when the code is not 1000 or 3000-4999 (RFC 6455 7.4), or the reason is over 123 bytes
 */
export function checkClose(code: number, reason: string): void {
  if (!Number.isInteger(code) || (code !== 1000 && (code < 3000 || code > 4999))) {
    throw new RangeError(`close code must be 1000 or 3000-4999, got ${code}`)
  }
  if (typeof reason !== 'string') throw new TypeError(`close reason must be a string, got ${typeof reason}`)
  const bytes = Buffer.byteLength(reason)
  if (bytes > MAX_REASON_BYTES) {
    throw new RangeError(`close reason must be at most ${MAX_REASON_BYTES} bytes of UTF-8, got ${bytes}`)
  }
}

/** The value of `ws-close`: the code, then a space and the percent-encoded reason if there is one. */
export function closeHeader(code: number, reason: string): string {
  return reason === '' ? String(code) : `${code} ${encode(reason)}`
}

/** Reads what `closeHeader` wrote. */
export function parseCloseHeader(value: string): { code: number; reason: string } {
  const space = value.indexOf(' ')
  if (space < 0) return { code: Number(value), reason: '' }
  return { code: Number(value.slice(0, space)), reason: decode(value.slice(space + 1)) }
}

/**
 * Thrown from a hook or a handler, closes the socket with a code that the browser can read:
 * `throw new Close(4401, 'sign in')`. On open the gateway accepts the handshake first, because a refused one
 * shows every browser the same 1006. Over HTTP it is a 403 with the header `ws-close`.
 * @throws {RangeError} as checkClose
 */
export class Close extends Error {
  override readonly name = 'Close'
  readonly statusCode = 403
  readonly headers: Record<string, string>
  readonly closeCode: number
  readonly closeReason: string

  constructor(code: number, reason = '') {
    checkClose(code, reason)
    super(reason === '' ? `closed with code ${code}` : reason)
    this.closeCode = code
    this.closeReason = reason
    this.headers = { [EffectHeader.close]: closeHeader(code, reason) }
  }
}
