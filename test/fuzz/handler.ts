/**
 * A handler on a bare TCP port that answers soundly or with any fault. What it does with an event is chosen by the seed and
 * the event's own path and number, so that it does not depend on who came first.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { soundAnswer, toHttp } from './answers.ts'
import { BATCH_FAULTS, type BatchItem, soundly } from './batches.ts'
import { FAULTS, type Fault } from './faults.ts'
import { type Fate, Ledger, type SeenEvent } from './ledger.ts'
import { pause, Random } from './random.ts'

type Request = { path: string; headers: Record<string, string>; body: Buffer }

const FAULTY = 0.3 // of events, and of batches
const BATCHES = Object.entries(BATCH_FAULTS)

export class Handler {
  readonly ledger = new Ledger()
  /** Whether every answer is sound from now on. */
  isSound = false
  /** How many faults were played. */
  faults = 0
  /** How many deliveries may have ended in a time-out. */
  silences = 0
  readonly #seed: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(seed: string) {
    this.#seed = seed
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ port, host: '127.0.0.1', backlog: 1024 }, resolve)
    })
  }

  stop(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let buffer = Buffer.alloc(0)
    let isBusy = false // for ever, when the connection is good for nothing more
    const advance = async (): Promise<void> => {
      if (isBusy) return
      isBusy = true
      for (let found = readRequest(buffer); found; found = readRequest(buffer)) {
        buffer = buffer.subarray(found.size)
        if (!(await this.#answer(socket, found.request))) return
      }
      isBusy = false
    }
    socket.on('data', (data) => {
      buffer = Buffer.concat([buffer, data])
      void advance()
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }

  async #answer(socket: Socket, request: Request): Promise<boolean> {
    const isBatch = request.headers['content-type'] === 'application/vnd.framegate.batch+json'
    if (isBatch) return this.#answerBatch(socket, request)
    const event = eventOf(request.path, request.headers, request.body)
    const ended = this.ledger.came(event)
    const random = this.#randomOf(event)
    const isGood = event.path.startsWith('/ws/good/')
    if (!isGood && !this.isSound && random.chance(FAULTY)) return this.#fail(socket, random.pick(FAULTS), random, ended)
    if (!isGood && random.chance(0.2)) await pause(random.int(1, 200))
    const answer = soundAnswer(event, random)
    socket.write(toHttp(answer, random))
    ended(answer.fate)
    return true
  }

  async #fail(socket: Socket, fault: Fault, random: Random, ended: (fate: Fate) => void): Promise<boolean> {
    this.faults++
    if (fault.mayTimeOut) this.silences++
    if (fault.mayTimeOut || fault.fate === 'broken') ended(fault.fate) // it may take for ever
    const isKept = await fault.play(socket, random)
    ended(fault.fate)
    return isKept
  }

  async #answerBatch(socket: Socket, { body }: Request): Promise<boolean> {
    const items: BatchItem[] = JSON.parse(body.toString()).map((element: any) => {
      const content =
        element.body_base64 === undefined ? Buffer.from(element.body) : Buffer.from(element.body_base64, 'base64')
      const event = eventOf(element.path, element.headers, content)
      return { event, ended: this.ledger.came(event) }
    })
    const random = this.#randomOf(items[0]!.event)
    if (this.isSound || !random.chance(FAULTY)) return soundly(socket, items, random)
    const [name, play] = random.pick(BATCHES)
    this.faults++
    if (name.startsWith('a halt')) this.silences += items.length
    return play(socket, items, random)
  }

  #randomOf(event: SeenEvent): Random {
    return new Random(this.#seed, 'handler', event.path, event.kind, event.number)
  }
}

/** The first request of `buffer`, if it is there as a whole. The gateway's requests have a content-length. */
function readRequest(buffer: Buffer): { request: Request; size: number } | undefined {
  const end = buffer.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first, ...lines] = buffer.subarray(0, end).toString('latin1').split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const size = end + 4 + Number(headers['content-length'] ?? 0)
  if (buffer.length < size) return undefined
  return { request: { path: first!.split(' ')[1]!, headers, body: buffer.subarray(end + 4, size) }, size }
}

function eventOf(path: string, headers: Record<string, string>, body: Buffer): SeenEvent {
  return {
    kind: headers['ce-type']!.replace('framegate.', '') as SeenEvent['kind'],
    id: headers['ce-id']!,
    connection: headers['ce-connectionid']!,
    path,
    number: Number(headers['ce-eventnumber'] ?? 0),
    contentType: headers['content-type'] ?? '',
    body,
  }
}
