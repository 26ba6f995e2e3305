/** How a batch is answered, soundly and otherwise. docs/protocol.md has the form. */
import { type Answer, soundAnswer, toLine } from './answers.ts'
import type { Wire } from './faults.ts'
import type { Fate, SeenEvent } from './ledger.ts'
import { pause, type Random } from './random.ts'

export type BatchItem = { event: SeenEvent; ended: (fate: Fate) => void }

/** Answers a batch. Returns whether the connection is good for another request. */
export type BatchAnswer = (wire: Wire, items: BatchItem[], random: Random) => boolean | Promise<boolean>

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n'

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

function endAll(items: BatchItem[], fate: Fate): void {
  for (const { ended } of items) ended(fate)
}

function mixed<T>(list: T[], random: Random): T[] {
  return list
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** A line for each event, in any order and in any pieces. */
export const soundly: BatchAnswer = async (wire, items, random) => {
  wire.write(HEAD)
  for (const { event, ended } of mixed(items, random)) {
    if (random.chance(0.1)) await pause(random.int(1, 30))
    const answer = soundAnswer(event, random)
    const line = `${toLine(event.id, answer)}\n`
    const half = random.int(0, line.length)
    if (random.chance(0.2) && half > 0 && half < line.length)
      wire.write(chunk(line.slice(0, half)) + chunk(line.slice(half)))
    else wire.write(chunk(line))
    ended(answer.fate)
  }
  wire.write('0\r\n\r\n')
  return true
}

const ODD_LINES: Array<(id: string, answer: Answer) => string> = [
  (id) => `{"id":${JSON.stringify(id)},"status":1e400}`,
  (id) => `{"id":${JSON.stringify(id)},"status":NaN}`,
  (id) => `{"id":${JSON.stringify(id)},"status":-1,"body":"x"}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200.7,"body":"x"}`,
  (id) => `{"id":${JSON.stringify(id)},"status":"200","body":"x"}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"headers":{"ws-state":[["a"]]}}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"headers":{"content-type":{"a":1}},"body":"x"}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"headers":{"retry-after":[]}}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"headers":[1,2],"body":"x"}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"body":null}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"body":{"a":1}}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"body_base64":"*"}`,
  (id) => `{"id":${JSON.stringify(id)},"status":200,"headers":null,"body":"\\u0000"}`,
  (id, answer) => `${toLine(id, answer)} `,
  (id, answer) => `${toLine(id, answer)}\n${toLine(id, answer)}`,
  (id, answer) => toLine(`${id}x`, answer),
  (id, answer) => toLine(id, answer).slice(0, -2),
  () => 'null\n[]\n7\n""',
  () => '\0\xff no json',
  () => '',
]

/** Some lines are not as they should be; each event's own line is all that it may suffer from. */
const oddLines: BatchAnswer = (wire, items, random) => {
  wire.write(HEAD)
  for (const { event, ended } of mixed(items, random)) {
    const answer = soundAnswer(event, random)
    const isOdd = random.chance(0.5)
    wire.write(chunk(`${isOdd ? random.pick(ODD_LINES)(event.id, answer) : toLine(event.id, answer)}\n`))
    ended(isOdd ? 'odd' : answer.fate)
  }
  wire.write('0\r\n\r\n')
  return true
}

/** Some lines, and then something else than the end. */
function breaksOff(end: (wire: Wire) => boolean): BatchAnswer {
  return (wire, items, random) => {
    wire.write(HEAD)
    const answered = random.int(0, items.length - 1)
    for (const { event, ended } of items.slice(0, answered)) {
      wire.write(chunk(`${toLine(event.id, soundAnswer(event, random))}\n`))
      ended('odd') // a reset may overtake it
    }
    endAll(items.slice(answered), 'broken')
    return end(wire)
  }
}

const noNewline: BatchAnswer = (wire, items, random) => {
  const lines = items.map(({ event }) => toLine(event.id, soundAnswer(event, random))).join('\n')
  wire.write(`${HEAD}${chunk(lines)}0\r\n\r\n`)
  endAll(items, 'odd')
  return true
}

function refusal(statusLine: string, fate: Fate): BatchAnswer {
  return (wire, items) => {
    wire.write(`HTTP/1.1 ${statusLine}\r\ncontent-length: 2\r\n\r\nno`)
    endAll(items, fate)
    return true
  }
}

/** Faults of an answer to a batch as a whole. */
export const BATCH_FAULTS: Record<string, BatchAnswer> = {
  'odd lines': oddLines,
  'the end within the batch': breaksOff((wire) => {
    wire.end()
    return false
  }),
  'a reset within the batch': breaksOff((wire) => {
    wire.resetAndDestroy()
    return false
  }),
  'a halt within the batch': breaksOff(() => false),
  'no newline at the end': noNewline,
  'batches are not taken': refusal('415 Unsupported Media Type', 'again'),
  'a redirection': refusal('302 Found', 'again'),
  'an error': refusal('500 Internal Server Error', 'broken'),
  'no content': refusal('204 No Content', 'again'),
  'an odd status': refusal('2000 X', 'odd'),
}
