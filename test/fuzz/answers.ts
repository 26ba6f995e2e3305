/** What a sound handler answers, with every effect now and then. Paths under /ws/good/ get their own messages back. */
import type { Fate, SeenEvent } from './ledger.ts'
import type { Random } from './random.ts'

export type Answer = {
  status: number
  headers: Record<string, string>
  body: Buffer
  fate: Fate
}

/** What every push and every further frame begins with, so that clients tell them from echoes. */
export const MARK = 'push:'

const EFFECTS = 'application/vnd.framegate.effects+json'

export const TOPICS = ['t0', 't1', 'tópico', 'a,b']

function answer(status: number, headers: Record<string, string> = {}, body: Buffer | string = ''): Answer {
  return { status, headers, body: Buffer.from(body as string), fate: 'answered' }
}

/** The message, as /ws/echo would answer it. */
export function echoOf(event: SeenEvent): Answer {
  const type = event.contentType === 'application/octet-stream' ? event.contentType : 'text/plain'
  return answer(200, { 'content-type': type }, event.body)
}

function someHeaders(random: Random): Record<string, string> {
  const headers: Record<string, string> = {}
  if (random.chance(0.4)) headers['ws-subscribe'] = random.chance(0.5) ? 't0' : 't0, t1, a%2Cb, t%C3%B3pico'
  if (random.chance(0.2)) headers['ws-unsubscribe'] = 't1'
  if (random.chance(0.3)) headers['ws-state'] = random.chance(0.1) ? '' : 's'.repeat(random.size(4096))
  if (random.chance(0.3)) headers['ws-user'] = random.pick(['ada', 'bob', 'Zo%C3%AB', ''])
  if (random.chance(0.3)) headers['ws-alarm'] = random.pick(['0', '0.001', '0.05', '0.3', '60'])
  if (random.chance(0.05)) headers['ws-close'] = random.pick(['1000', '4001 signed%20out', '3000'])
  return headers
}

function effect(random: Random): object {
  const text = MARK + random.text(random.size(3000))
  return random.pick<() => object>([
    () => ({ send: { text } }),
    () => ({ send: { base64: Buffer.from(text).toString('base64') } }),
    () => ({ state: random.text(10) }),
    () => ({ user: random.pick(['ada', 'bob']) }),
    () => ({ alarm: random.pick([0, 0.001, 0.05, 0.3, 60]) }),
    () => ({ subscribe: [random.pick(TOPICS)] }),
    () => ({ unsubscribe: TOPICS }),
    () => ({ publish: { topic: random.pick(TOPICS), text } }),
    () => ({ publish: { topic: 't0', text, except: 'self' } }),
  ])()
}

function document(random: Random): Answer {
  const effects = Array.from({ length: random.int(0, 5) }, () => effect(random))
  if (random.chance(0.1)) effects.push({ close: { code: 4000, reason: 'enough' } })
  return answer(200, { 'content-type': EFFECTS }, JSON.stringify({ effects }))
}

function toOpen(random: Random): Answer {
  const headers = someHeaders(random)
  if (random.chance(0.7)) headers['ws-batch'] = '1'
  if (random.chance(0.1)) headers['ws-text'] = random.pick(['text', 'json', 'form'])
  if (random.chance(0.05)) return { ...answer(403, {}, 'no'), fate: 'refused' }
  if (random.chance(0.05)) return { ...answer(403, { 'ws-close': '4403 no' }), fate: 'refused' }
  return random.chance(0.1)
    ? answer(200, { ...headers, 'content-type': 'text/plain' }, `${MARK}welcome`)
    : answer(random.pick([200, 204]), headers)
}

function toMessage(event: SeenEvent, random: Random): Answer {
  if (random.chance(0.2)) return document(random)
  if (random.chance(0.1)) return answer(204, someHeaders(random))
  if (random.chance(0.1)) return answer(random.pick([400, 404, 500]), someHeaders(random), random.pick(['', '{}']))
  const echo = echoOf(event)
  return { ...echo, headers: { ...echo.headers, ...someHeaders(random) } }
}

/** The answer of a sound handler to any event. */
export function soundAnswer(event: SeenEvent, random: Random): Answer {
  if (event.path.startsWith('/ws/good/')) return event.kind === 'message' ? echoOf(event) : answer(204)
  if (event.kind === 'open') return toOpen(random)
  if (event.kind === 'message') return toMessage(event, random)
  if (event.kind === 'alarm' && random.chance(0.5)) return answer(204, someHeaders(random))
  return random.chance(0.2) ? document(random) : answer(204)
}

/** An answer as HTTP/1.1. */
export function toHttp({ status, headers, body }: Answer, random: Random): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${status} ${random.pick(['OK', 'Whatever', ''])}\r\n${lines.join('')}`
  if (status === 204) return Buffer.from(`${head}\r\n`)
  if (random.chance(0.2))
    return Buffer.concat([Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`), ...chunks(body, random)])
  return Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body])
}

function chunks(body: Buffer, random: Random): Buffer[] {
  const parts = random.cut(body).filter((part) => part.length > 0)
  const framed = parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])
  return [...framed, Buffer.from('0\r\n\r\n')]
}

/** An answer as a line of a batch's answer, without its end. */
export function toLine(id: string, { status, headers, body }: Answer): string {
  const isText = headers['content-type'] !== 'application/octet-stream'
  const content = body.length === 0 ? {} : isText ? { body: body.toString() } : { body_base64: body.toString('base64') }
  return JSON.stringify({ id, status, headers, ...content })
}
