// The two forms in which a batch is answered: lines of JSON, or lengths and bytes. docs/protocol.md describes both.
import { isUtf8 } from 'node:buffer'
import type { OutgoingHttpHeader } from 'node:http'
import { isText, MediaType } from '../headers.ts'

/** The answer to one event. */
export interface EventAnswer {
  /** The `ce-id` of the event. */
  id: string
  /** Its place in the batch, from 0. */
  place: number
  status: number
  /** Names in lower case. */
  headers: Record<string, OutgoingHttpHeader>
  body: string | Buffer
}

/** Collects answers, until they are written. */
export interface AnswerForm {
  readonly type: string
  add(answer: EventAnswer): void
  /** Adds that nothing was done, and that the event must come alone. */
  addAlone(event: Pick<EventAnswer, 'id' | 'place'>): void
  /** What waits. After that nothing does. */
  take(): Buffer
}

/** The form that a gateway asks for. Older ones know only lines, and ask for nothing. */
export function formFor(accept: string | undefined): AnswerForm {
  return accept?.startsWith(MediaType.answers) ? new Answers() : new Lines()
}

/** Headers about the connection to the gateway, not about an event. */
const HOP_BY_HOP = new Set(['content-length', 'connection', 'keep-alive', 'transfer-encoding', 'date', 'trailer'])

function hasBody(status: number): boolean {
  return status !== 204 && status !== 304
}

/** A line of JSON for each answer. */
class Lines implements AnswerForm {
  readonly type = MediaType.lines
  #lines = ''

  add({ id, status, headers, body }: EventAnswer): void {
    const end = hasBody(status) ? bodyJson(headers['content-type'], body) : ''
    this.#lines += `{"id":${JSON.stringify(id)},"status":${status},"headers":${headersJson(headers)}${end}}\n`
  }

  addAlone({ id }: Pick<EventAnswer, 'id'>): void {
    this.#lines += `{"id":${JSON.stringify(id)},"alone":true}\n`
  }

  take(): Buffer {
    const lines = Buffer.from(this.#lines)
    this.#lines = ''
    return lines
  }
}

function headersJson(headers: Record<string, OutgoingHttpHeader>): string {
  let json = ''
  for (const name in headers) {
    if (HOP_BY_HOP.has(name)) continue
    json += `${json === '' ? '' : ','}"${name}":${headerJson(name, headers[name]!)}`
  }
  return `{${json}}`
}

/** A value as the gateway would have read it: one string, or a list of cookies. */
function headerJson(name: string, value: OutgoingHttpHeader): string {
  if (name === 'set-cookie') return JSON.stringify([value].flat())
  return JSON.stringify(Array.isArray(value) ? value.join(', ') : String(value))
}

function bodyJson(type: OutgoingHttpHeader | undefined, body: string | Buffer): string {
  if (body.length === 0) return ''
  const text = isText(type) || type === MediaType.effects
  if (text && typeof body === 'string') return `,"body":${JSON.stringify(body.toWellFormed())}`
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (text && isUtf8(bytes)) return `,"body":${JSON.stringify(bytes.toString())}`
  return `,"body_base64":"${bytes.toString('base64')}"`
}

/** Bytes in front of each answer: four numbers, in network byte order. */
const FIXED = 16
const ALONE = 0
/** Bytes of memory for the first answers. */
const FIRST_BYTES = 16384
/** Of a character of a string in UTF-8. */
const MOST_BYTES = 3

/** For each answer its place in the batch, its status, the bytes of its header lines and of its body; then both. */
class Answers implements AnswerForm {
  readonly type = MediaType.answers
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #end = 0

  add({ place, status, headers, body }: EventAnswer): void {
    const lines = linesOf(headers)
    const isString = typeof body === 'string'
    this.#makeRoom(FIXED + lines.length + body.length * (isString ? MOST_BYTES : 1))
    const bytes = this.#bytes
    const start = this.#end
    const head = bytes.write(lines, start + FIXED, 'latin1')
    const at = start + FIXED + head
    const length = !hasBody(status) ? 0 : isString ? bytes.write(body, at, 'utf8') : body.copy(bytes, at)
    this.#writeNumbers(place, status, head, length)
    this.#end = at + length
  }

  addAlone({ place }: Pick<EventAnswer, 'place'>): void {
    this.#makeRoom(FIXED)
    this.#writeNumbers(place, ALONE, 0, 0)
    this.#end += FIXED
  }

  /** Later answers go behind those that were taken: what is being written must not change. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#end)
    this.#bytes = this.#bytes.subarray(this.#end)
    this.#end = 0
    return taken
  }

  #writeNumbers(place: number, status: number, head: number, body: number): void {
    const bytes = this.#bytes
    const at = this.#end
    bytes.writeUInt32BE(place, at)
    bytes.writeUInt32BE(status, at + 4)
    bytes.writeUInt32BE(head, at + 8)
    bytes.writeUInt32BE(body, at + 12)
  }

  #makeRoom(bytes: number): void {
    const least = this.#end + bytes
    if (least <= this.#bytes.length) return
    const more = Buffer.allocUnsafeSlow(Math.max(least, 2 * this.#end, FIRST_BYTES))
    this.#bytes.copy(more, 0, 0, this.#end)
    this.#bytes = more
  }
}

/** Header lines as HTTP/1.1 has them. Values were checked when they were set. */
function linesOf(headers: Record<string, OutgoingHttpHeader>): string {
  let lines = ''
  for (const name in headers) {
    if (HOP_BY_HOP.has(name)) continue
    const value = headers[name]!
    if (!Array.isArray(value)) lines += `${name}: ${value}\r\n`
    else if (name !== 'set-cookie') lines += `${name}: ${value.join(', ')}\r\n`
    else for (const one of value) lines += `${name}: ${one}\r\n`
  }
  return lines
}
