// Sessions with streams that move while workers are killed: frames in order, each once, and nothing is left behind.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'
import { type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame } from '../support/raw-socket.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'
import { replacements } from '../support/workers.ts'

const SEED = Number(process.env.SEED ?? randomInt(1_000_000))
const CLIENTS = 6
const KILLS = Number(process.env.KILLS ?? 4)

/** A gateway whose handler streams numbers until the client leaves. */
async function start(t: TestContext): Promise<{ gateway: Gateway; streams: Set<ServerResponse> }> {
  const env = { WORKERS: '4', MAX_CONNECTIONS_PER_IP: 'off' }
  const gateway = await startGateway(t, { handler: false, expect: [KILLED], env })
  const streams = new Set<ServerResponse>()
  const numbers = new Map<ServerResponse, number>()
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open') return void response.writeHead(204, { 'ws-session': '60' }).end()
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    streams.add(response.on('close', () => streams.delete(response)))
    numbers.set(response, 0)
  })
  const pace = setInterval(() => {
    for (const response of streams) {
      const number = numbers.get(response)! + 1
      numbers.set(response, number)
      response.write(`${number}\n`)
    }
  }, 5)
  t.after(() => clearInterval(pace))
  return { gateway, streams }
}

/** A client that streams, comes and goes. */
class Wanderer {
  readonly client: SessionClient
  readonly faults: string[] = []
  /** Streams that went on after a return. */
  continued = 0
  #last: number | undefined
  /** Messages of this session. */
  #sent = 0
  #isOver = false

  constructor(port: number) {
    this.client = new SessionClient(port, '/ws/a')
  }

  async run(random: Random): Promise<void> {
    while (!this.#isOver) {
      await this.#dial()
      for (let i = random.int(1, 8); i > 0; i--) await this.#take()
      this.client.cut()
    }
    await this.#dial()
  }

  stop(): void {
    this.#isOver = true
  }

  async #dial(): Promise<void> {
    await until('it is there', () => this.client.dial().catch(() => undefined), 20_000)
    if (this.client.first.resumed && this.#last !== undefined) this.continued++
    if (!this.client.first.resumed) {
      this.#last = undefined
      this.#sent = 0
    }
    // What a worker had not read when it was killed is sent again, as a client of sessions does.
    if (this.#last === undefined || this.client.first.received < this.#sent) this.#ask(this.client.first.received)
  }

  #ask(sent = this.#sent): void {
    this.client.send('stream')
    this.#sent = sent + 1
    this.#last = 0
  }

  /** Reads a frame: the next number, or the error of a stream whose worker was killed. A connection may break. */
  async #take(): Promise<void> {
    const text = await this.client.next(10_000).catch((error) => {
      if (/nothing came/.test(String(error))) this.faults.push(`nothing after ${this.#last}`)
    })
    if (text === undefined) return
    if (/"statusCode":502/.test(text)) return this.#ask()
    if (Number(text) !== this.#last! + 1) this.faults.push(`${text} after ${this.#last}`)
    this.#last = Number(text)
  }
}

test(`streams move with their sessions while workers are killed; seed ${SEED}`, async (t) => {
  const random = new Random(SEED)
  const { gateway, streams } = await start(t)
  const wanderers = Array.from({ length: CLIENTS }, () => new Wanderer(gateway.port))
  const running = wanderers.map((wanderer) => wanderer.run(random))
  for (let i = 0; i < KILLS; i++) {
    await pause(random.int(100, 800))
    const workers = gateway.workers()
    const victim = workers[random.int(0, workers.length - 1)]!
    process.kill(victim, 'SIGKILL')
    await replacements(gateway, [victim], 4)
  }
  for (const wanderer of wanderers) wanderer.stop()
  await Promise.all(running)
  assert.deepEqual(
    wanderers.flatMap(({ faults }) => faults),
    [],
  )
  const continued = wanderers.reduce((sum, each) => sum + each.continued, 0)
  t.diagnostic(`${continued} streams went on after a return`)
  assert.ok(continued > 0)
  for (const { client } of wanderers) client.raw.write(frame(8, Buffer.from([15, 161])))
  await until('all requests are aborted', () => streams.size === 0, 20_000)
  await until('no stream is left', async () => (await samples(gateway)).streams === 0, 20_000)
  const before = gateway.workers()
  await gateway.reload()
  await until('the old workers have ended', () => !gateway.workers().some((pid) => before.includes(pid)), 20_000)
})
