// Parsers of arguments and options.
// Each accepts the typed text and throws InvalidArgumentError when the text is not valid.
import { InvalidArgumentError } from 'commander'

/** @returns the text, which is not empty */
export function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.')
  return text
}

/** @returns a number from 0 to 999,999,999 */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}

/** @returns a close code that the gateway accepts (RFC 6455 section 7.4) */
export function closeCode(text: string): number {
  const code = wholeNumber(text)
  if (code !== 1000 && (code < 3000 || code > 4999)) throw new InvalidArgumentError('Expected 1000, or 3000 to 4999.')
  return code
}

/** @returns a close reason that fits into a close frame (RFC 6455 section 5.5.1) */
export function closeReason(text: string): string {
  if (Buffer.byteLength(text) > 123) throw new InvalidArgumentError('Expected at most 123 bytes of UTF-8.')
  return text
}
