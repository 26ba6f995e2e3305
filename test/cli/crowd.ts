/**
 * Many sockets that talk all the time: each sends a numbered frame, and the next one a while after its answer. They subscribe
 * to one topic, to which numbered frames are pushed. What a socket misses, or gets twice, is noted.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Gateway } from '../../plugin/gateway/gateway.ts'
import { type Client, open } from '../support/client.ts'
import { until } from '../support/wait.ts'

const PAUSE = 1_000
const PUSH_EVERY = 250

/** The route's code: it answers with its version, some events late, and notes what it has seen in a file. */
function route(version: number, notes: string): string {
  return `import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

export default async function crowd (app: FastifyInstance): Promise<void> {
  const note = (line: string) => appendFileSync('${notes}', line + '\\n')
  app.ws('/ws/crowd', {
    open (request, reply) { reply.subscribe('crowd') },
    async message (request) {
      const number = Number(request.body)
      note(\`\${request.event!.connectionId} \${number}\`)
      if (number % 3 === 0) await sleep(100)
      return \`${version} \${number}\`
    },
    close (request) { note(\`\${request.event!.connectionId} closed \${request.event!.closeCode}\`) },
  })
}
`
}

export class Crowd {
  readonly clients: Client[] = []
  readonly faults: string[] = []
  version = 0
  pushes = 0
  answers = 0
  readonly #project: string
  readonly #notes: string
  readonly #sent: number[] = []
  readonly #answered: number[] = []
  readonly #pushed: number[] = []
  readonly #versions: number[] = []
  #talks = true
  #pushing: Promise<void> | undefined

  /** @param project a copy of the project, whose handler gets a route for this */
  constructor(project: string) {
    this.#project = project
    this.#notes = join(project, 'notes.txt')
    appendFileSync(this.#notes, '')
    this.deploy()
    const app = join(project, 'handler/app.ts')
    writeFileSync(
      app,
      readFileSync(app, 'utf8')
        .replace(/^import chat /m, "import crowd from './routes/crowd.ts'\n$&")
        .replace('  await app.register(chat)', '  await app.register(crowd)\n$&'),
    )
  }

  /** Writes the next version of the handler's route. */
  deploy(): void {
    this.version += 1
    writeFileSync(join(this.#project, 'handler/routes/crowd.ts'), route(this.version, this.#notes))
  }

  /** Opens sockets, each of which talks from then on. */
  async join(port: number, count: number): Promise<void> {
    const goal = this.clients.length + count
    while (this.clients.length < goal) {
      const size = Math.min(100, goal - this.clients.length)
      const opened = await Promise.all(Array.from({ length: size }, () => open(`ws://127.0.0.1:${port}/ws/crowd`)))
      for (const client of opened) this.#talk(client, this.clients.push(client) - 1)
    }
  }

  /** Pushes every now and then from now on; each push must count everybody who is there. */
  push(socket: string): void {
    const gateway = new Gateway({ url: `unix:${socket}` })
    this.#pushing = (async () => {
      while (this.#talks) {
        const there = this.clients.length
        const { delivered, dropped } = await gateway.publish('crowd', `push ${++this.pushes}`)
        if (delivered < there || dropped > 0)
          this.faults.push(`push ${this.pushes}: ${delivered} of ${there} delivered, ${dropped} dropped`)
        await new Promise((resolve) => setTimeout(resolve, PUSH_EVERY))
      }
    })().catch((error) => {
      this.faults.push(`push: ${error}`)
    })
  }

  /** Until every socket was answered by the version that was deployed last. */
  async sees(): Promise<void> {
    await until(
      `everybody is answered by version ${this.version}`,
      () => this.#fine() && this.#versions.every((seen) => seen === this.version),
      30_000,
    )
  }

  /** Until every socket was answered once more. */
  async goesOn(): Promise<void> {
    const before = [...this.#answered]
    await until(
      'everybody is answered',
      () => this.#fine() && before.every((number, i) => this.#answered[i]! > number),
      30_000,
    )
  }

  /** Ends the talk, and waits for what is under way. */
  async quiet(): Promise<void> {
    this.#talks = false
    await this.#pushing
    await until(
      'all is answered and pushed',
      () =>
        this.#fine() &&
        this.#sent.every((number, i) => this.#answered[i] === number) &&
        this.#pushed.every((number) => number === this.pushes),
      30_000,
    )
  }

  /** What the handler saw: `ID NUMBER` for each message, `ID closed CODE` for each close. */
  seen(): string[] {
    return readFileSync(this.#notes, 'utf8').trim().split('\n')
  }

  get sent(): number {
    return this.#sent.reduce((sum, number) => sum + number, 0)
  }

  #fine(): boolean {
    if (this.faults.length > 0) throw new Error(this.faults.slice(0, 10).join('\n'))
    return true
  }

  #talk(client: Client, i: number): void {
    this.#sent[i] = this.#answered[i] = this.#versions[i] = 0
    this.#pushed[i] = this.pushes
    const say = (): void => {
      if (this.#talks) client.socket.send(String(++this.#sent[i]!))
    }
    client.socket.on('message', (data) => {
      const [kind, number] = String(data).split(' ')
      if (kind === 'push') return this.#expect(i, this.#pushed, number)
      if (!/^\d+$/.test(kind!)) return void this.faults.push(`socket ${i}: ${String(data)}`)
      this.#expect(i, this.#answered, number)
      this.#versions[i] = Number(kind)
      this.answers += 1
      setTimeout(say, Math.random() * 2 * PAUSE)
    })
    client.socket.on('close', (code) => {
      if (code !== 1001) this.faults.push(`socket ${i} was closed with ${code}`)
    })
    say()
  }

  #expect(i: number, last: number[], number: string | undefined): void {
    last[i]! += 1
    if (Number(number) !== last[i]) this.faults.push(`socket ${i}: ${number} in place of ${last[i]}`)
  }
}
