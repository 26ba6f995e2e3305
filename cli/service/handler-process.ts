// The process of the shipped handler.
import { project } from '../environment.ts'
import { Failure } from '../failure.ts'
import { type Child, type Command, type StopStep, startChild } from './child.ts'
import type { Settings } from './nginx.ts'
import { explainStart } from './start-failure.ts'
import { type Watcher, watchFiles } from './watch.ts'

const GRACE_MS = 10_000
const STOP_STEPS: StopStep[] = [{ signal: 'SIGTERM', waitMs: GRACE_MS }]
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 5_000
/** A handler that ran for this long restarts after the first delay again. */
const STABLE_MS = 10_000
const REPLACED_GRACE_MS = 60_000

export type HandlerOptions = {
  command: Command
  /** Whether an edit of the handler's or the plugin's code replaces the handler. */
  watches: boolean
  /** Prints a line. */
  info: (line: string) => void
}

export function handlerCommand(env: NodeJS.ProcessEnv): Command {
  return { command: process.execPath, args: [`${project}/handler/server.ts`], env }
}

/** The handler that a gateway with these settings starts. */
export function shippedHandler(settings: Settings, env: NodeJS.ProcessEnv): Command {
  const own: NodeJS.ProcessEnv = {
    ...env,
    HANDLER_LISTEN: settings.HANDLER_URL[0]!.replace('http://', ''),
    CONTROL_SOCKET: settings.CONTROL_SOCKET,
    MAX_MESSAGE_BYTES: String(settings.MAX_MESSAGE_BYTES),
  }
  return { ...handlerCommand(own), account: settings.account }
}

/** Builds the handler's app, which does not listen. @throws {Failure} when a start would fail, with the file and line */
export async function checkHandler(command: Command): Promise<void> {
  const errors: string[] = []
  const child = startChild(withOptions(command, ['--check']), undefined, (line) => errors.push(line))
  const end = await child.ended
  await child.shown
  if (end !== 'exit code 0') throw failureOf(errors, end)
}

function withOptions(command: Command, options: string[]): Command {
  return { ...command, args: [...command.args, ...options] }
}

function failureOf(errors: string[], end: string): Failure {
  const { reason, rest } = explainStart(errors.join('\n'))
  if (rest) process.stderr.write(`${rest}\n`)
  return new Failure(`the handler did not start${reason ? `: ${reason}` : ` (${end})`}`)
}

/** On a unix socket the new handler listens before the old one ends; a port must be free first. */
function canOverlap({ env }: Command): boolean {
  return env.HANDLER_LISTEN?.startsWith('unix:') === true
}

/** Keeps one handler running: restarts it when it dies, after growing delays, and replaces it after an edit if it watches. */
export class HandlerProcess {
  #command: Command
  #info: (line: string) => void
  #current: Child | undefined
  #starting: Child | undefined
  #running = new Set<Child>()
  #delayMs = FIRST_DELAY_MS
  #restartTimer: NodeJS.Timeout | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #newest: Promise<void> = Promise.resolve()
  #isStopping = false
  #watches: boolean
  #watcher: Watcher | undefined

  constructor({ command, watches, info }: HandlerOptions) {
    this.#command = command
    this.#watches = watches
    this.#info = info
  }

  /** Resolves when it listens. @throws {Failure} when it ends before, as with a bad value */
  async start(): Promise<void> {
    await this.#launch(this.#command)
    if (!this.#watches) return
    this.#watcher = watchFiles({
      paths: [`${project}/handler`, `${project}/plugin`],
      matches: (file) => /\.(ts|js|json)$/.test(file) && !file.startsWith(`${project}/plugin/dist/`),
      edited: (_, sentence) => this.#restartAfterEdit(sentence),
    })
    await this.#watcher.ready
  }

  /**
   * Starts the code as it is now. Where both can listen, the old handler finishes its requests while the new one gets the next event.
   * @param graceMs how long the requests of the old one may take
   * @throws {Failure} when the new one cannot start; the old one keeps running. A replacement that is overtaken by a newer one
   * ends as the newer one does.
   */
  replace(command = this.#command, graceMs = REPLACED_GRACE_MS): Promise<void> {
    this.#starting?.signal('SIGUSR2') // it ends, unless it already listens
    const turn = this.#turn.then(() => this.#replace(command, graceMs))
    this.#turn = turn.catch(() => {})
    const done: Promise<void> = turn.catch((error) => {
      if (this.#newest === done) throw error
      return this.#newest
    })
    this.#newest = done
    return done
  }

  /** Lets open requests finish; without steps it is killed. */
  async stop(steps: StopStep[] = STOP_STEPS): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#restartTimer)
    await Promise.all([this.#watcher?.close(), ...[...this.#running].map((child) => child.stop(steps))])
  }

  async #replace(command: Command, graceMs: number): Promise<void> {
    if (this.#isStopping) return
    clearTimeout(this.#restartTimer)
    const old = this.#current
    const overlaps = old !== undefined && canOverlap(command)
    if (old && !overlaps) {
      await checkHandler(command)
      this.#current = undefined
      await old.stop(STOP_STEPS)
    }
    try {
      await this.#launch(command, overlaps ? ['--take-over'] : [])
    } catch (error) {
      if (!this.#current) this.#restartLater()
      throw error
    }
    if (overlaps) void old.stop([{ signal: 'SIGTERM', waitMs: graceMs }])
  }

  async #launch(command: Command, options: string[] = []): Promise<void> {
    const errors: string[] = [] // until it listens
    let showError = (line: string): unknown => errors.push(line)
    const child = startChild(withOptions(command, options), undefined, (line) => showError(line))
    this.#running.add(child)
    void child.ended.then(() => this.#running.delete(child))
    this.#starting = child
    const end = await Promise.race([child.printed('handler: listening').then(() => undefined), child.ended])
    this.#starting = undefined
    if (end !== undefined) {
      await child.shown
      throw failureOf(errors, end)
    }
    showError = (line) => process.stderr.write(`${line}\n`)
    errors.forEach(showError)
    this.#command = command
    void this.#superviseUntilEnd(child)
  }

  async #superviseUntilEnd(child: Child): Promise<void> {
    const startMs = Date.now()
    this.#current = child
    const end = await child.ended
    if (this.#current !== child || this.#isStopping) return
    this.#current = undefined
    if (Date.now() - startMs > STABLE_MS) this.#delayMs = FIRST_DELAY_MS
    this.#info(`the handler exited (${end}): restarting it in ${this.#delayMs} ms`)
    this.#restartLater()
  }

  #restartLater(): void {
    if (this.#isStopping) return
    clearTimeout(this.#restartTimer)
    this.#restartTimer = setTimeout(() => this.replace().catch(this.#reportFailure), this.#delayMs)
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS)
  }

  #restartAfterEdit(sentence: string): void {
    if (this.#isStopping) return
    this.#info(`${sentence}: restarting the handler`)
    this.#delayMs = FIRST_DELAY_MS
    this.replace().catch(this.#reportFailure)
  }

  #reportFailure = (error: Error): void => {
    if (!this.#isStopping)
      this.#info(`${error.message}: ${this.#current ? 'the previous one keeps running' : 'trying again'}`)
  }
}
