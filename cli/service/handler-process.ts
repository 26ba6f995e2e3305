import { Failure } from '../failure.ts'
import { type Child, type Command, type StopStep, startChild } from './child.ts'
import { FolderWatcher } from './watch.ts'

const GRACE: StopStep[] = [{ signal: 'SIGTERM', wait: 10_000 }]
const FIRST_DELAY = 100
const LONGEST_DELAY = 5_000
const RAN_WELL = 10_000
const SAME_EDIT = 100

export type HandlerOptions = {
  command: Command
  /** Whose edits start it again. */
  folder: string
  say: (line: string) => void
}

export function handlerCommand(project: string, env: NodeJS.ProcessEnv): Command {
  return { command: process.execPath, args: [`${project}/handler/server.ts`], env }
}

/** On a unix socket the next handler listens before the one before it ends; a port has to be free first. */
function canOverlap({ env }: Command): boolean {
  return env.HANDLER_LISTEN?.startsWith('unix:') === true
}

/** Keeps one handler process running: again after it died, ever later, and replaced after an edit in its folder. */
export class Handler {
  #command: Command
  #folder: string
  #say: (line: string) => void
  #child: Child | undefined
  #beginning: Child | undefined
  #living = new Set<Child>()
  #delay = FIRST_DELAY
  #again: NodeJS.Timeout | undefined
  #edit: NodeJS.Timeout | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #newest: Promise<void> = Promise.resolve()
  #stopping = false
  #watcher: FolderWatcher | undefined

  constructor({ command, folder, say }: HandlerOptions) {
    this.#command = command
    this.#folder = folder
    this.#say = say
  }

  /** Resolves when it listens; a Failure when it ends before, as with a bad value. */
  async start(): Promise<void> {
    await this.#launch(this.#command)
    this.#watcher = new FolderWatcher(this.#folder, (file) => this.#noticed(file))
  }

  /**
   * Starts the code as it is now. Where both can listen, the handler before finishes what it holds while the new one takes the next event.
   * @param patience milliseconds that what is under way may take
   * @throws {Failure} when the new one does not start; the one before goes on, where both can listen. One that a newer replacement
   * overtakes ends as that does.
   */
  replace(command = this.#command, patience = 60_000): Promise<void> {
    void this.#beginning?.stop(GRACE) // it need not listen any more, but may have begun to in this moment
    const turn = this.#turn.then(() => this.#replace(command, patience))
    this.#turn = turn.catch(() => {})
    const done: Promise<void> = turn.catch((error) => {
      if (this.#newest === done) throw error
      return this.#newest
    })
    this.#newest = done
    return done
  }

  /** Lets open requests finish; at once when `steps` is empty. */
  async stop(steps: StopStep[] = GRACE): Promise<void> {
    this.#stopping = true
    this.#watcher?.close()
    clearTimeout(this.#again)
    clearTimeout(this.#edit)
    await Promise.all([...this.#living].map((child) => child.stop(steps)))
  }

  async #replace(command: Command, patience: number): Promise<void> {
    if (this.#stopping) return
    clearTimeout(this.#again)
    const before = this.#child
    const overlaps = before !== undefined && canOverlap(command)
    if (before && !overlaps) {
      this.#child = undefined
      await before.stop(GRACE)
    }
    try {
      await this.#launch(command, overlaps ? ['--take-over'] : [])
    } catch (error) {
      if (!this.#child) this.#launchLater()
      throw error
    }
    if (overlaps) void before.stop([{ signal: 'SIGTERM', wait: patience }])
  }

  async #launch(command: Command, options: string[] = []): Promise<void> {
    const child = startChild({ ...command, args: [...command.args, ...options] })
    this.#living.add(child)
    void child.ended.then(() => this.#living.delete(child))
    this.#beginning = child
    const end = await Promise.race([child.said('handler: listening').then(() => undefined), child.ended])
    this.#beginning = undefined
    if (end !== undefined) throw new Failure(`the handler did not start (${end})`)
    this.#command = command
    void this.#keep(child)
  }

  async #keep(child: Child): Promise<void> {
    const started = Date.now()
    this.#child = child
    const end = await child.ended
    if (this.#child !== child || this.#stopping) return
    this.#child = undefined
    if (Date.now() - started > RAN_WELL) this.#delay = FIRST_DELAY
    this.#say(`the handler ended (${end}) and starts again in ${this.#delay} ms`)
    this.#launchLater()
  }

  #launchLater(): void {
    if (this.#stopping) return
    clearTimeout(this.#again)
    this.#again = setTimeout(() => this.replace().catch(this.#tell), this.#delay)
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY)
  }

  #tell = (error: Error): void => {
    if (!this.#stopping)
      this.#say(`${error.message}${this.#child ? ': the one before goes on' : ', and is started again'}`)
  }

  #noticed(file: string): void {
    if (!/\.(ts|js|json)$/.test(file) || this.#stopping) return
    clearTimeout(this.#edit)
    this.#edit = setTimeout(() => {
      this.#say(`${file} was edited, the handler starts again`)
      this.#delay = FIRST_DELAY
      this.replace().catch(this.#tell)
    }, SAME_EDIT)
  }
}
