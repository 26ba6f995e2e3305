// The supervisor: starts, reloads and stops nginx and the shipped handler.
import { readEnvironment, watchesHandler } from '../environment.ts'
import { Failure } from '../failure.ts'
import { addressLines } from './addresses.ts'
import { type Finding, findings } from './checks.ts'
import { type Child, startChild } from './child.ts'
import { HandlerProcess, shippedHandler } from './handler-process.ts'
import { check, configure, type Listener, listeners, nginxCommand, type Settings, waitForGateway } from './nginx.ts'
import { reloadNginx } from './nginx-workers.ts'
import { checkPort } from './run-directory.ts'

const MIN_GRACE_MS = 10_000
/** What a stop may take beyond STOP_SECONDS. */
const BEYOND_STOP_MS = 5_000
const TERM_GRACE_MS = 3_000
/** How long a replaced handler may take beyond its longest answer. */
const REPLACED_GRACE_MS = 10_000

export type SupervisorOptions = {
  /** The run directory, locked by this process. */
  run: string
  /** The environment of the start, without the file of settings. */
  environment: NodeJS.ProcessEnv
  /** Whether edits of the handler's code count where WATCH is not set. */
  watches: boolean
  /** Prints a line. */
  info: (line: string) => void
}

/** Runs nginx, and the shipped handler unless HANDLER_URL names another. Starts, reloads and restarts run one at a time. */
export class Supervisor {
  readonly #run: string
  readonly #environment: NodeJS.ProcessEnv
  readonly #watches: boolean
  readonly #info: (line: string) => void
  readonly #failure = Promise.withResolvers<never>()
  #settings: Settings | undefined
  #handler: HandlerProcess | undefined
  #nginx: Child | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isEnding = false
  #stopped: Promise<void> | undefined

  constructor({ run, environment, watches, info }: SupervisorOptions) {
    this.#run = run
    this.#environment = environment
    this.#watches = watches
    this.#info = info
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when nginx exits by itself. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  /** Resolves with where everything listens, a line each, when gateway and handler answer. @throws {Failure} */
  start(): Promise<string[]> {
    return this.#inTurn(() => this.#start())
  }

  /**
   * Loads variables, nginx's configuration and Lua as they are now, and replaces the handler unless `handler` is false.
   * @returns what was done
   * @throws {Failure} what is wrong; nothing has changed then
   */
  reload({ handler = true } = {}): Promise<string> {
    return this.#inTurn(() => this.#reload(handler))
  }

  /** Stops and starts everything. @throws {Failure} before anything stops, when the configuration is wrong */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      check(this.#run, this.#variables())
      await this.#end(this.#graceMs())
      await this.#start().catch((error) => {
        this.#failure.reject(error)
        throw error
      })
    })
  }

  /** Checks what a reload needs. */
  check(): Promise<Finding[]> {
    return this.#inTurn(() => findings(this.#run, this.#variables(), true))
  }

  /** Closes sockets with 1001 and delivers their close events; whatever takes longer than `graceMs` is killed. */
  stop(graceMs = this.#graceMs()): Promise<void> {
    this.#stopped ??= this.#end(graceMs)
    return this.#stopped
  }

  async kill(): Promise<void> {
    await Promise.all([this.#nginx?.stop([]), this.#handler?.stop([])])
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      this.#throwIfStopping()
      return work().catch((error) => {
        this.#throwIfStopping() // what the stop ended has failed, for no other reason
        throw error
      })
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  #throwIfStopping(): void {
    if (this.#stopped) throw new Failure('the gateway is stopping')
  }

  #graceMs(): number {
    return Math.max(MIN_GRACE_MS, (this.#settings?.STOP_SECONDS ?? 0) * 1000 + BEYOND_STOP_MS)
  }

  #variables(): NodeJS.ProcessEnv {
    const env = readEnvironment(this.#environment)
    watchesHandler(env, this.#watches) // a value that is wrong is refused
    return { ...env, PATH: `${env.PATH ?? ''}:/usr/sbin:/sbin` }
  }

  async #start(): Promise<string[]> {
    const env = this.#variables()
    const settings = check(this.#run, env)
    for (const listener of listeners(settings)) await checkPort(listener)
    configure(this.#run, env)
    this.#throwIfStopping()
    if (!env.HANDLER_URL) await this.#startHandler(settings, env)
    this.#throwIfStopping()
    this.#isEnding = false
    const nginx = (this.#nginx = startChild(nginxCommand(this.#run, env)))
    await waitForGateway(settings.CONTROL_SOCKET, nginx.ended)
    this.#settings = settings
    void nginx.ended.then((end) => {
      if (!this.#isEnding) this.#failure.reject(new Failure(`nginx exited (${end}): stopping everything`))
    })
    const addresses = addressLines(settings, this.#handler !== undefined)
    for (const line of [...addresses, ...settings.notes]) this.#info(line)
    return addresses
  }

  async #startHandler(settings: Settings, env: NodeJS.ProcessEnv): Promise<void> {
    const watches = watchesHandler(env, this.#watches)
    this.#handler = new HandlerProcess({ command: shippedHandler(settings, env), watches, info: this.#info })
    await this.#handler.start()
  }

  async #reload(handlerToo: boolean): Promise<string> {
    const env = this.#variables()
    const settings = check(this.#run, env)
    if (settings.NGINX !== this.#settings!.NGINX) throw new Failure('NGINX has changed: restart to change that')
    for (const listener of listeners(settings)) await checkNewPort(listener, listeners(this.#settings!))
    const done = handlerToo && !env.HANDLER_URL ? await this.#reloadHandler(settings, env) : ''
    configure(this.#run, env)
    const workers = await reloadNginx(this.#nginx!.pid!)
    this.#settings = settings
    return `${workers} new worker${workers === 1 ? '' : 's'}${done}; open sockets stay connected`
  }

  /** A handler that HANDLER_URL replaces keeps running: workers with older sockets still send it events. */
  async #reloadHandler(settings: Settings, env: NodeJS.ProcessEnv): Promise<string> {
    if (!this.#handler) await this.#startHandler(settings, env)
    else await this.#handler.replace(shippedHandler(settings, env), settings.HANDLER_TIMEOUT * 1000 + REPLACED_GRACE_MS)
    return ' and a new handler'
  }

  /** Stops the handler last: nginx sends it the close events. */
  async #end(graceMs: number): Promise<void> {
    this.#isEnding = true
    await this.#nginx?.stop([
      { signal: 'SIGQUIT', waitMs: graceMs },
      { signal: 'SIGTERM', waitMs: TERM_GRACE_MS },
    ])
    await this.#handler?.stop([{ signal: 'SIGTERM', waitMs: graceMs }])
    this.#handler = undefined
  }
}

/** Checks a port that a reload adds. nginx opens it before it closes those that it has. @throws {Failure} */
async function checkNewPort(listener: Listener, open: Listener[]): Promise<void> {
  const same = open.find(({ port }) => port === listener.port)
  if (!same) return checkPort(listener)
  if (same.hosts.join() === listener.hosts.join()) return
  throw new Failure(
    `port ${listener.port} is open on ${same.hosts.join(' and ')}: restart to change that (${listener.variable})`,
  )
}
