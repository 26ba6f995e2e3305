import { project, readEnvironment } from '../environment.ts'
import { Failure } from '../failure.ts'
import { type Finding, findings } from './checks.ts'
import { type Child, type Command, startChild } from './child.ts'
import { Handler, handlerCommand } from './handler-process.ts'
import { check, configure, nginxCommand, publicPorts, type Settings, waitForGateway } from './nginx.ts'
import { reloadNginx } from './nginx-workers.ts'
import { checkPort } from './run-directory.ts'

const GRACE = 10_000
/** What a handler that was replaced may take beyond its longest answer. */
const LEAVING = 10_000

export type SupervisorOptions = {
  /** The run directory, taken by this process. */
  run: string
  /** What the gateway was started with, before the file of settings. */
  environment: NodeJS.ProcessEnv
  say: (line: string) => void
}

/** Runs nginx, and the shipped handler while HANDLER_URL names no other. One thing at a time is done to them. */
export class Supervisor {
  readonly #run: string
  readonly #environment: NodeJS.ProcessEnv
  readonly #say: (line: string) => void
  readonly #failure = Promise.withResolvers<never>()
  #settings: Settings | undefined
  #handler: Handler | undefined
  #nginx: Child | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isEnding = false
  #stopped: Promise<void> | undefined

  constructor({ run, environment, say }: SupervisorOptions) {
    this.#run = run
    this.#environment = environment
    this.#say = say
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when nginx ends without having been told to. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  /** Resolves when gateway and handler answer. @throws {Failure} */
  start(): Promise<void> {
    return this.#inTurn(() => this.#start())
  }

  /**
   * Takes variables, nginx's configuration and Lua as they are now, and starts the handler's code again unless told not to.
   * @returns what was done @throws {Failure} what is wrong; nothing has changed then
   */
  reload({ handler = true } = {}): Promise<string> {
    return this.#inTurn(() => this.#reload(handler))
  }

  /** Stops and starts everything, if what is there now can start. */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      check(this.#run, this.#variables())
      await this.#end(GRACE)
      await this.#start().catch((error) => {
        this.#failure.reject(error)
        throw error
      })
    })
  }

  /** What a reload would meet. */
  check(): Promise<Finding[]> {
    return this.#inTurn(() => findings(this.#run, this.#variables(), true))
  }

  /** Sockets are closed with 1001 and their close events delivered; what takes longer than `milliseconds` is ended. */
  stop(milliseconds = GRACE): Promise<void> {
    this.#stopped ??= this.#end(milliseconds)
    return this.#stopped
  }

  async kill(): Promise<void> {
    await Promise.all([this.#nginx?.stop([]), this.#handler?.stop([])])
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      this.#mayGoOn()
      return work()
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  #mayGoOn(): void {
    if (this.#stopped) throw new Failure('the gateway stops')
  }

  #variables(): NodeJS.ProcessEnv {
    const env = readEnvironment(this.#environment)
    return { ...env, PATH: `${env.PATH ?? ''}:/usr/sbin:/sbin` }
  }

  async #start(): Promise<void> {
    const env = this.#variables()
    const settings = check(this.#run, env)
    for (const { port, variable } of publicPorts(settings)) await checkPort(port, variable)
    configure(this.#run, env)
    this.#mayGoOn()
    if (!env.HANDLER_URL) await this.#startHandler(settings, env)
    this.#mayGoOn()
    this.#isEnding = false
    const nginx = (this.#nginx = startChild(nginxCommand(this.#run, env)))
    await waitForGateway(settings.CONTROL_SOCKET, nginx.ended)
    this.#settings = settings
    void nginx.ended.then((end) => {
      if (!this.#isEnding) this.#failure.reject(new Failure(`nginx ended (${end}), so everything stops`))
    })
    this.#tellWhere(settings)
  }

  async #startHandler(settings: Settings, env: NodeJS.ProcessEnv): Promise<void> {
    this.#handler = new Handler({
      command: shippedHandler(settings, env),
      folder: `${project}/handler`,
      say: this.#say,
    })
    await this.#handler.start()
  }

  async #reload(handlerToo: boolean): Promise<string> {
    const env = this.#variables()
    const settings = check(this.#run, env)
    const before = publicPorts(this.#settings!).map(({ port }) => port)
    for (const { port, variable } of publicPorts(settings)) if (!before.includes(port)) await checkPort(port, variable)
    const done = handlerToo && !env.HANDLER_URL ? await this.#reloadHandler(settings, env) : ''
    configure(this.#run, env)
    const workers = await reloadNginx(this.#nginx!.pid!)
    this.#settings = settings
    return `${workers} new worker${workers === 1 ? '' : 's'}${done}; sockets that are open stay where they are`
  }

  /** A handler that HANDLER_URL replaces goes on: workers with sockets from before still ask it. */
  async #reloadHandler(settings: Settings, env: NodeJS.ProcessEnv): Promise<string> {
    if (!this.#handler) await this.#startHandler(settings, env)
    else await this.#handler.replace(shippedHandler(settings, env), settings.HANDLER_TIMEOUT * 1000 + LEAVING)
    return ' and a new handler'
  }

  #tellWhere(settings: Settings): void {
    const { SOCKET_PATH, HANDLER_URL, CONTROL_SOCKET } = settings
    const all = (address: (secure: string, port: number) => string): string =>
      publicPorts(settings)
        .map(({ port, secure }) => address(secure, port))
        .join(', ')
    this.#say(`page     ${all((s, port) => `http${s}://localhost:${port}/`)}`)
    this.#say(`sockets  ${all((s, port) => `ws${s}://localhost:${port}${SOCKET_PATH}`)}`)
    this.#say(`handler  ${HANDLER_URL.join(', ')}${this.#handler ? ' (handler/, started here)' : ''}`)
    this.#say(`control  ${CONTROL_SOCKET}`)
    if (settings.CONTROL_PORT !== 'off')
      this.#say(
        `live     http://${settings.CONTROL_PORT.replace(/^(?=\d+$)/, 'localhost:')}/ (CONTROL_TOKEN is the password)`,
      )
    for (const note of settings.notes) this.#say(note)
  }

  /** The handler goes last: nginx tells it which sockets have closed. */
  async #end(milliseconds: number): Promise<void> {
    this.#isEnding = true
    await this.#nginx?.stop([
      { signal: 'SIGQUIT', wait: milliseconds },
      { signal: 'SIGTERM', wait: 3_000 },
    ])
    await this.#handler?.stop([{ signal: 'SIGTERM', wait: milliseconds }])
    this.#handler = undefined
  }
}

function shippedHandler(settings: Settings, env: NodeJS.ProcessEnv): Command {
  const own: NodeJS.ProcessEnv = {
    ...env,
    HANDLER_LISTEN: settings.HANDLER_URL[0]!.replace('http://', ''),
    CONTROL_SOCKET: settings.CONTROL_SOCKET,
    MAX_MESSAGE_BYTES: String(settings.MAX_MESSAGE_BYTES),
  }
  return { ...handlerCommand(project, own), account: settings.account }
}
