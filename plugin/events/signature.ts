// Verifies the signatures of the gateway, which are those of Standard Webhooks (github.com/standard-webhooks/standard-webhooks).
// docs/signed-events.md describes what each covers.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { SignatureHeader } from '../headers.ts'
import { HttpError } from './errors.ts'
import { type AnyHeaders, headerNames, headerOf } from './event.ts'

/** The value of HANDLER_SECRET: one secret, or all that are good during a rotation, as a list or with commas between them. */
export type Secret = string | readonly string[]

/** A request that claims to be an event, and is not signed as one: status 401. */
export class SignatureError extends HttpError {
  override readonly name = 'SignatureError'
  readonly code = 'FRAMEGATE_SIGNATURE'

  constructor(message: string) {
    super(401, message)
  }
}

const SECRET = /^whsec_([\w+/]{32,88}={0,2})$/ // 24 to 64 bytes
const LIST = /\s*[,\s]\s*/
const TOLERANCE_SECONDS = 5 * 60
const CONTEXT = '/context'
const SIGNED_HEADER = /^(?:ce-.*|content-type)$/

/** Method and path of a request, as the gateway has sent it. */
export interface RequestContext {
  method: string
  /** Path and query, byte for byte: each byte is a character, as Node has it. */
  url: string
  headers: AnyHeaders
}

/** Checks requests against secrets. */
export class Verifier {
  readonly #keys: KeyObject[]

  /** @throws {TypeError} for what is no secret, without naming it */
  constructor(secret: Secret) {
    this.#keys = [secret].flat().flatMap((text) => String(text).split(LIST).map(keyOf))
    if (this.#keys.length === 0) throw new TypeError(EXPECTED)
  }

  /**
   * The verifier that options ask for. A secret that is named and missing is an error: it would let everything pass.
   * @throws {TypeError} for what is no secret
   */
  static of(options: { secret?: Secret | undefined }): Verifier | undefined {
    return 'secret' in options ? new Verifier(options.secret!) : undefined
  }

  /** Whether both take the same secrets, in whatever order. */
  equals(other: Verifier): boolean {
    return this.#hasAllOf(other) && other.#hasAllOf(this)
  }

  #hasAllOf(other: Verifier): boolean {
    return other.#keys.every((key) => this.#keys.some((own) => own.equals(key)))
  }

  /**
   * Checks method, path, `ce-*`, content type and time: all that can be checked before the body is read.
   * @throws {SignatureError}
   */
  verifyContext({ method, url, headers }: RequestContext): void {
    const lines = headerNames(headers)
      .filter((name) => SIGNED_HEADER.test(name))
      .sort()
      .map((name) => `${name}: ${headerOf(headers, name)}`)
    const context = Buffer.from([`${method} ${url}`, ...lines].join('\n'), 'latin1')
    const time = Number(headerOf(headers, SignatureHeader.timestamp) ?? Number.NaN)
    this.#verify(headers, { suffix: CONTEXT, message: context, signatures: SignatureHeader.context })
    const age = Math.floor(Date.now() / 1000) - time
    if (age > TOLERANCE_SECONDS) throw new SignatureError('the event was signed more than 5 minutes ago')
    if (!(age >= -TOLERANCE_SECONDS)) throw new SignatureError('the event was signed with a time that is still to come')
  }

  /**
   * Checks the body, whose signature has the time and the id that `verifyContext` has checked.
   * @throws {SignatureError}
   */
  verifyBody(headers: AnyHeaders, body: string | Buffer): void {
    this.#verify(headers, { suffix: '', message: body, signatures: SignatureHeader.body })
  }

  #verify(headers: AnyHeaders, given: { suffix: string; message: string | Buffer; signatures: string }): void {
    const id = headerOf(headers, SignatureHeader.id)
    const timestamp = headerOf(headers, SignatureHeader.timestamp)
    const signatures = headerOf(headers, given.signatures)
    if (id === null || timestamp === null || signatures === null) throw new SignatureError('the event is not signed')
    const start = `${id}${given.suffix}.${timestamp}.`
    const expected = this.#keys.map((key) => createHmac('sha256', key).update(start).update(given.message).digest())
    for (const signature of signatures.split(' ')) {
      if (signature.startsWith('v1,') && expected.some((digest) => isSame(digest, signature.slice(3)))) return
    }
    throw new SignatureError('the signature of the event is wrong')
  }
}

const EXPECTED = 'secret must be the HANDLER_SECRET of the gateway: whsec_ and 24 to 64 bytes in base64'

function keyOf(secret: string): KeyObject {
  const [, digits] = SECRET.exec(secret) ?? []
  if (digits === undefined) throw new TypeError(EXPECTED)
  return createSecretKey(digits, 'base64')
}

function isSame(digest: Buffer, base64: string): boolean {
  const given = Buffer.from(base64, 'base64')
  return given.length === digest.length && timingSafeEqual(given, digest)
}
