// Every name that goes over the wire between gateway and handler, and how values are written in headers.
// docs/protocol.md explains each; a test compares the two lists.

/** About the event, gateway to handler. */
export const EventHeader = {
  specversion: 'ce-specversion',
  type: 'ce-type',
  source: 'ce-source',
  id: 'ce-id',
  time: 'ce-time',
  connectionId: 'ce-connectionid',
  number: 'ce-eventnumber',
  transport: 'ce-transport',
  state: 'ce-state',
  user: 'ce-user',
  closeCode: 'ce-closecode',
  closeReason: 'ce-closereason',
  duration: 'ce-duration',
} as const

/** What the answer does besides being a frame, handler to gateway. */
export const EffectHeader = {
  subscribe: 'ws-subscribe',
  unsubscribe: 'ws-unsubscribe',
  close: 'ws-close',
  state: 'ws-state',
  user: 'ws-user',
  alarm: 'ws-alarm',
  text: 'ws-text',
  batch: 'ws-batch',
  session: 'ws-session',
  stream: 'ws-stream',
} as const

/** With which the gateway signs what it sends. The first three are of Standard Webhooks. */
export const SignatureHeader = {
  id: 'webhook-id',
  timestamp: 'webhook-timestamp',
  body: 'webhook-signature',
  context: 'framegate-signature',
} as const

/** Values of `ce-type`. */
export const EventType = {
  open: 'framegate.open',
  message: 'framegate.message',
  alarm: 'framegate.alarm',
  detach: 'framegate.detach',
  resume: 'framegate.resume',
  close: 'framegate.close',
  timer: 'framegate.timer',
} as const

/** Media types of our own. */
export const MediaType = {
  effects: 'application/vnd.framegate.effects+json',
  batch: 'application/vnd.framegate.batch+json',
  lines: 'application/x-ndjson',
  answers: 'application/vnd.framegate.answers',
} as const

const UNSAFE = /[^\x21\x23\x24\x26-\x7e]+/gu
const UNSAFE_IN_LIST = /[^\x21\x23\x24\x26-\x2b\x2d-\x3a\x3c-\x7e]+/gu

/**
 * Percent-encodes a header value: space, `"`, `%` and everything outside printable ASCII, as UTF-8.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
 */
export function encode(value: string): string {
  return value.toWellFormed().replace(UNSAFE, encodeURIComponent)
}

/** As `encode`, for values in a comma-separated list with parameters: the comma and the semicolon are encoded too. */
export function encodeListItem(value: string): string {
  return value.toWellFormed().replace(UNSAFE_IN_LIST, encodeURIComponent)
}

/** Reads what `encode` wrote. A value that is not well-formed is returned as it came. */
export function decode(value: string): string {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** Whether a body of this content type is a text frame (`text/*`, `application/json` and `application/*+json`) or a binary one. */
export function isText(contentType: unknown): boolean {
  return (
    typeof contentType === 'string' && /^\s*(?:text\/|application\/(?:json|[\w.-]+\+json)\s*(?:;|$))/i.test(contentType)
  )
}
