/**
 * Sockets that send a text frame, and the next when its answer came. A process of its own, so that its processor time
 * is counted apart; lean, so that it is not the bottleneck. load-client.ts '<Load as JSON>'
 */
import { connect, type Socket } from 'node:net'
import { Latencies } from './latencies.ts'
import { HANDSHAKE, PAYLOAD, textFrame } from './client-bytes.ts'

export type Load = { port: number, sockets: number, warmUp: number, seconds: number }
export type Result = { frames: number, seconds: number, p50: number, p99: number, processorTime: number }

const { port, sockets, warmUp, seconds } = JSON.parse(process.argv[2]!) as Load
const FRAME = textFrame()
const ANSWER_BYTES = 2 + PAYLOAD.length
const READ_BUFFER = Buffer.allocUnsafe(65536)
/** For answers to frames that are under way when the time is over. One that does not come then was lost. */
const LAST_ANSWERS_MS = 10000
const latencies = new Latencies()
const now = performance.now.bind(performance)

/** One socket's closed loop. Its answers come in one piece nearly always, and are only counted byte by byte if not. */
class Loop {
  readonly #socket: Socket
  readonly #opened: () => void
  #handshake: string | null = ''
  #bytes = 0
  #sent = 0

  constructor (opened: () => void) {
    this.#opened = opened
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: (bytes) => this.#read(bytes) }
    })
    this.#socket.on('connect', () => this.#socket.write(HANDSHAKE))
    this.#socket.on('error', (error) => fail(error.message)).on('close', () => fail('the gateway closed a socket'))
  }

  send (): void {
    this.#sent = now()
    this.#socket.write(FRAME)
  }

  #read (bytes: number): boolean {
    if (this.#handshake !== null) return this.#readHandshake(bytes)
    if (this.#bytes === 0 && (READ_BUFFER[0] !== 0x81 || READ_BUFFER[1] !== PAYLOAD.length)) fail(`not the echo of the frame: ${said(bytes)}`)
    this.#bytes += bytes
    if (this.#bytes < ANSWER_BYTES) return true
    if (this.#bytes > ANSWER_BYTES) fail(`more than one answer: ${said(bytes)}`)
    this.#bytes = 0
    if (isOver) return this.#end()
    const time = now()
    latencies.add(time - this.#sent)
    this.#sent = time
    this.#socket.write(FRAME)
    return true
  }

  #end (): boolean {
    if (--unanswered === 0) process.exit()
    return true
  }

  #readHandshake (bytes: number): boolean {
    this.#handshake += said(bytes)
    if (this.#handshake!.endsWith('\r\n\r\n')) {
      if (!this.#handshake!.startsWith('HTTP/1.1 101 ')) fail(`the handshake was answered with ${this.#handshake}`)
      this.#handshake = null
      this.#opened()
    }
    return true
  }
}

function said (bytes: number): string {
  return READ_BUFFER.toString('latin1', 0, bytes)
}

function fail (reason: string): never {
  console.error(reason)
  process.exit(1)
}

function measure (): void {
  latencies.clear()
  const cpu = process.cpuUsage()
  const began = now()
  process.send!('begin')
  setTimeout(() => {
    const elapsed = (now() - began) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const result: Result = {
      frames: latencies.count, seconds: elapsed, p50: latencies.percentile(0.5), p99: latencies.percentile(0.99), processorTime: user + system
    }
    isOver = true
    process.send!(result)
    setTimeout(() => fail(`${unanswered} of ${sockets} sockets had no answer for ${LAST_ANSWERS_MS / 1000} s`), LAST_ANSWERS_MS)
  }, seconds * 1000)
}

let isOver = false
let unanswered = sockets
let opening = sockets
const loops = Array.from({ length: sockets }, () => new Loop(() => {
  if (--opening > 0) return
  for (const loop of loops) loop.send()
  setTimeout(measure, warmUp * 1000)
}))
process.on('disconnect', () => process.exit())
