/** What a receiver in another language would write: the signatures of an event, by the unchanged library of Standard Webhooks. */
import { Webhook } from 'standardwebhooks'

/** Of 24 and 32 bytes. */
export const SECRET = `whsec_${Buffer.from('the secret of 24 bytes..').toString('base64')}`
export const OTHER_SECRET = `whsec_${Buffer.from('another secret that has 32 bytes').toString('base64')}`

export type Signed = {
  method: string
  url: string
  headers: Record<string, string | string[] | undefined>
  body: string | Buffer
}

/** The text that the second signature covers. */
export function contextOf({ method, url, headers }: Pick<Signed, 'method' | 'url' | 'headers'>): string {
  const names = Object.keys(headers).filter((name) => name.startsWith('ce-') || name === 'content-type')
  return [`${method} ${url}`, ...names.sort().map((name) => `${name}: ${headers[name]}`)].join('\n')
}

/** Verifies both signatures. Throws the library's error. */
export function verify(secret: string, request: Signed): void {
  const webhook = new Webhook(secret)
  const headers = request.headers as Record<string, string>
  webhook.verify(request.body, headers, { jsonParse: false })
  const ofContext = {
    'webhook-id': `${headers['webhook-id']}/context`,
    'webhook-timestamp': headers['webhook-timestamp']!,
    'webhook-signature': headers['framegate-signature']!,
  }
  webhook.verify(contextOf(request), ofContext, { jsonParse: false })
}

/** The headers with which the gateway would send this; `secondsAgo`: how old they are. */
export function sign(secret: string, request: Signed, { secondsAgo = 0 } = {}): Record<string, string> {
  const time = new Date(Date.now() - secondsAgo * 1000)
  const id = String(request.headers['ce-id'] ?? 'batch_1')
  const webhook = new Webhook(secret)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(time.getTime() / 1000)),
    'webhook-signature': webhook.sign(id, time, request.body),
    'framegate-signature': webhook.sign(`${id}/context`, time, contextOf(request)),
  }
}
