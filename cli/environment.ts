// The settings of a command: environment variables and the settings file.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Failure } from './failure.ts'
import { parseSettings } from './settings-file.ts'

/** The folder of the checkout; in the handler's image it has no `nginx/`. */
export const project = dirname(import.meta.dirname)

/** Tells lua/configure.lua which names the file of settings has: one that is misspelt there is refused. */
const NAMES = 'FRAMEGATE_ENV_NAMES'

/**
 * The variables of the environment, and of the file of settings (ENV_FILE, or `.env` in the project's folder) where the environment
 * does not set them.
 * @throws {Failure} when the file cannot be read, with the line that is wrong
 */
export function readEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const file = settingsFile(env)
  if (!env.ENV_FILE && !existsSync(file)) return { ...env, [NAMES]: '' }
  const settings = parseSettings(readSettings(file), file)
  const set = Object.entries(env).filter(([, value]) => value !== '')
  return { ...settings, ...Object.fromEntries(set), [NAMES]: Object.keys(settings).join(' ') }
}

/** The absolute path of the file of settings, which need not exist. */
export function settingsFile(env: NodeJS.ProcessEnv): string {
  return env.ENV_FILE ? resolve(env.ENV_FILE) : `${project}/.env`
}

function readSettings(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Failure(`${file} cannot be read (${(error as Error).message.split(':')[0]}): fix that, or set ENV_FILE`)
  }
}

/** A unix socket's path has at most 107 bytes (unix(7)): this leaves 23 for its place in the folder. */
const MAX_RUN_DIR_BYTES = 84

/**
 * The absolute path of the folder in which a gateway with these variables keeps its sockets and generated files.
 * @throws {Failure} when it is too long
 */
export function runDirectory(env: NodeJS.ProcessEnv): string {
  const path = resolve(env.RUN_DIR || `${project}/run`)
  if (Buffer.byteLength(path) <= MAX_RUN_DIR_BYTES) return path
  throw new Failure(`RUN_DIR=${path}: expected a path of at most ${MAX_RUN_DIR_BYTES} bytes: choose a shorter one`)
}

/**
 * Whether an edit of the handler's code replaces the handler: WATCH, or else `unset`.
 * @throws {Failure} for any other value
 */
export function watchesHandler(env: NodeJS.ProcessEnv, unset: boolean): boolean {
  switch (env.WATCH || '') {
    case '':
      return unset
    case 'on':
      return true
    case 'off':
      return false
    default:
      throw new Failure(`WATCH=${env.WATCH}: expected on or off`)
  }
}

/** @throws {Failure} in the handler's image, which has no gateway to start */
export function needProject(): void {
  if (existsSync(`${project}/nginx/nginx.conf`)) return
  throw new Failure('there is no gateway here, only the client commands: run this one in a checkout of framegate')
}
