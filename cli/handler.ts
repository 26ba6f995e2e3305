import { watch, type FSWatcher } from 'node:fs'
import { Failure } from './failure.ts'
import { startChild, type Child, type Command, type StopStep } from './process.ts'

const GRACE: StopStep[] = [{ signal: 'SIGTERM', wait: 10_000 }]
const FIRST_DELAY = 100
const LONGEST_DELAY = 5_000
const RAN_WELL = 10_000
const SAME_EDIT = 100

export function handlerCommand (project: string, env: NodeJS.ProcessEnv): Command {
  return { command: process.execPath, args: [`${project}/handler/server.ts`], env }
}

/** Keeps one handler process running: again after it died, ever later, and at once after an edit in its folder. */
export class Handler {
  #command: Command
  #folder: string
  #say: (line: string) => void
  #child: Child | undefined
  #delay = FIRST_DELAY
  #again: NodeJS.Timeout | undefined
  #edit: NodeJS.Timeout | undefined
  #edited = false
  #stopping = false
  #watcher: FSWatcher | undefined

  constructor (command: Command, folder: string, say: (line: string) => void) {
    this.#command = command
    this.#folder = folder
    this.#say = say
  }

  /** Resolves when it listens; a Failure when it ends before, as with a bad value. */
  async start (): Promise<void> {
    const child = startChild(this.#command)
    this.#child = child
    const end = await Promise.race([child.said('handler: listening').then(() => undefined), child.ended])
    if (end !== undefined) throw new Failure(`the handler did not start (${end})`)
    this.#keep(child)
    this.#watch()
  }

  /** Lets open requests finish; at once when `steps` is empty. */
  async stop (steps: StopStep[] = GRACE): Promise<void> {
    this.#stopping = true
    this.#watcher?.close()
    clearTimeout(this.#again)
    clearTimeout(this.#edit)
    await this.#child?.stop(steps)
  }

  async #keep (child: Child): Promise<void> {
    const started = Date.now()
    this.#child = child
    const end = await child.ended
    this.#child = undefined
    if (this.#stopping) return
    if (this.#edited || Date.now() - started > RAN_WELL) this.#delay = FIRST_DELAY
    if (this.#edited) return this.#launch()
    this.#say(`the handler ended (${end}) and starts again in ${this.#delay} ms`)
    this.#again = setTimeout(() => this.#launch(), this.#delay)
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY)
  }

  #launch (): void {
    this.#edited = false
    this.#keep(startChild(this.#command))
  }

  #watch (): void {
    const given_up = (error: Error) => this.#say(`edits of the handler are not seen (${error.message}): restart it yourself`)
    try {
      this.#watcher = watch(this.#folder, { recursive: true }, (_, file) => file && this.#noticed(file))
      this.#watcher.on('error', given_up)
    } catch (error) {
      given_up(error as Error)
    }
  }

  #noticed (file: string): void {
    if (!/\.(ts|js|json)$/.test(file) || this.#stopping) return
    clearTimeout(this.#edit)
    this.#edit = setTimeout(() => this.#restart(file), SAME_EDIT)
  }

  #restart (file: string): void {
    if (this.#edited) return
    this.#edited = true
    this.#say(`${file} was edited, the handler starts again`)
    clearTimeout(this.#again)
    if (this.#child) void this.#child.stop(GRACE)
    else this.#launch()
  }
}
