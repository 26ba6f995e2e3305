/**
 * The scene of sessions: clients behind a bad network, numbered frames in both directions, and gateways that change
 * meanwhile. Every frame must arrive once and in order, with one open and one close event for each client.
 */
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { ReconnectingSocket } from '../../web/client/reconnecting-socket.js'
import { pause } from '../fuzz/random.ts'
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'

const TOPIC = 'scene'
const MOST_PROBLEMS = 20

export type SceneOptions = {
  seed: string
  clients: number
  /** How many numbered messages each client sends, and how many are pushed to all. */
  frames: number
  /** Between two messages of a client, and between two pushes. */
  pauseMs: number
  /** A connection breaks after so many bytes, on average. */
  meanBytes: number
  /** Lets a connection go to one of these. */
  target: () => Gateway
  /** What happens while frames are under way. */
  meanwhile: () => Promise<void>
}

/** What was seen of one client, on both sides. */
type Actor = {
  name: string
  socket: ReconnectingSocket
  /** Whether its client has seen it open: what the handler has answered to open is applied before. */
  isIn: boolean
  opens: number
  closes: number
  /** The next number of its messages at the handler, of the answers, and of the pushes. */
  up: number
  answers: number
  pushes: number
}

export class Scene {
  readonly #options: SceneOptions
  readonly #actors = new Map<string, Actor>()
  readonly problems: string[] = []

  constructor(options: SceneOptions) {
    this.#options = options
  }

  /** The handler's half, for each gateway. A message is its number, and so is the answer. */
  routes = (app: FastifyInstance): void => {
    const actorOf = (request: { params: unknown }) => this.#actors.get((request.params as { name: string }).name)!
    app.ws('/ws/scene/:name', {
      session: '60s',
      open: (request, reply) => {
        actorOf(request).opens += 1
        reply.subscribe(TOPIC)
      },
      message: (request) => {
        this.#count(actorOf(request), 'up', Number(request.body))
        return `answer ${request.body}`
      },
      close: (request) => {
        const actor = actorOf(request)
        actor.closes += 1
        if (request.event.closeCode !== 1000) this.#problem(actor, `closed with ${request.event.closeCode}`)
      },
    })
  }

  /** Plays it. @throws {Error} with the seed and what went wrong */
  async play(t: TestContext): Promise<CuttingProxy['counts']> {
    const { seed, frames, meanBytes, target, meanwhile } = this.#options
    const proxy = await startCuttingProxy(t, { target: () => target().port, seed, meanBytes })
    t.after(() => this.#actors.forEach(({ socket }) => void socket.close()))
    try {
      for (let i = 0; i < this.#options.clients; i += 1) this.#enter(String(i), proxy.port)
      await this.#until('all are open', ({ isIn }) => isIn)
      await Promise.all([this.#publish(), this.#speak(), meanwhile()])
      proxy.calm()
      await this.#until('all frames have arrived', (one) =>
        [one.up, one.answers, one.pushes].every((next) => next > frames),
      )
      await this.#until('all are back', ({ socket }) => socket.state === 'open')
      // A dial that its client gave up may still take the session once more. The close frame would be lost then.
      for (const { socket } of this.#actors.values()) socket.send(String(frames + 1))
      await this.#until('the last answers have come', ({ answers }) => answers > frames + 1)
      for (const { socket } of this.#actors.values()) socket.close(1000)
      await this.#until('all are closed', ({ closes }) => closes > 0)
      for (const actor of this.#actors.values())
        if (actor.opens !== 1 || actor.closes !== 1)
          this.#problem(actor, `${actor.opens} open and ${actor.closes} close events`)
    } catch (error) {
      this.problems.push(String(error))
    }
    if (this.problems.length > 0)
      throw new Error(`seed ${seed}: ${JSON.stringify(proxy.counts)}\n${this.problems.join('\n')}`)
    return proxy.counts
  }

  #enter(name: string, port: number): void {
    const socket = new ReconnectingSocket(`ws://127.0.0.1:${port}/ws/scene/${name}`, [], {
      session: true,
      WebSocket,
      min: 20,
      max: 500,
      timeout: 5000,
    })
    const actor: Actor = { name, socket, isIn: false, opens: 0, closes: 0, up: 1, answers: 1, pushes: 1 }
    this.#actors.set(name, actor)
    socket.onopen = () => {
      actor.isIn = true
    }
    socket.onlost = ({ unsent }) => this.#problem(actor, `its session is lost, with ${unsent.length} messages`)
    socket.onmessage = ({ data }) => {
      const [what, number] = String(data).split(' ')
      this.#count(actor, what === 'answer' ? 'answers' : 'pushes', Number(number))
    }
  }

  /** Numbers come from 1 on, each once and in order. */
  #count(actor: Actor, what: 'up' | 'answers' | 'pushes', number: number): void {
    if (number !== actor[what]) this.#problem(actor, `${what}: ${number} came in place of ${actor[what]}`)
    actor[what] = number + 1
  }

  async #speak(): Promise<void> {
    const { frames, pauseMs } = this.#options
    for (let number = 1; number <= frames; number += 1) {
      for (const { socket } of this.#actors.values()) socket.send(String(number))
      await pause(pauseMs)
    }
  }

  async #publish(): Promise<void> {
    const { frames, pauseMs, target } = this.#options
    const push = async (number: number): Promise<boolean> => {
      const request = { body: `push ${number}`, headers: { 'idempotency-key': `${this.#options.seed}-${number}` } }
      return (await ask(target(), 'POST', `/topics/${TOPIC}`, request)).status === 200
    }
    for (let number = 1; number <= frames; number += 1) {
      await until(`push ${number}`, () => push(number).catch(() => false), 20_000)
      await pause(pauseMs)
    }
  }

  async #until(what: string, fits: (actor: Actor) => boolean): Promise<void> {
    const late = () => [...this.#actors.values()].filter((actor) => !fits(actor))
    await until(what, () => late().length === 0, 30_000).catch((error) => {
      const states = late()
        .slice(0, MOST_PROBLEMS)
        .map(({ socket, ...facts }) => `${JSON.stringify(facts)} ${socket.state}`)
      throw new Error(`${error}\n${states.join('\n')}`)
    })
  }

  #problem(actor: Actor, what: string): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(`client ${actor.name}: ${what}`)
  }
}
