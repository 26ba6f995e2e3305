import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { Failure } from './failure.ts'

/** The folder of the checkout; in the handler's image there is no `nginx` in it. */
export const project = dirname(import.meta.dirname)

const LINE = /^\s*(#.*|(export\s+)?[A-Za-z_]\w*\s*=.*)?$/

/**
 * The variables of the file of settings (ENV_FILE, else `.env` in the project's folder), under those of the environment, which win.
 * @throws {Failure} naming the line, when the file cannot be read
 */
export function readEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const file = settingsFile(env)
  if (!env.ENV_FILE && !existsSync(file)) return { ...env }
  const text = readSettings(file)
  const wrong = text.split('\n').findIndex((line) => !LINE.test(line))
  if (wrong >= 0) throw new Failure(`${file}:${wrong + 1}: expected NAME=value, a line for each`)
  const set = Object.entries(env).filter(([, value]) => value !== '')
  return { ...parseEnv(text), ...Object.fromEntries(set) }
}

/** The file of settings, whether it is there or not; an absolute path. */
export function settingsFile(env: NodeJS.ProcessEnv): string {
  return env.ENV_FILE ? resolve(env.ENV_FILE) : `${project}/.env`
}

function readSettings(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Failure(`${file} cannot be read (${(error as Error).message.split(':')[0]}): mend that, or set ENV_FILE`)
  }
}

/** Where a gateway with these variables keeps sockets and generated files; an absolute path. */
export function runDirectory(env: NodeJS.ProcessEnv): string {
  return resolve(env.RUN_DIR || `${project}/run`)
}

/** @throws {Failure} where there is nothing that could be started */
export function needProject(): void {
  if (existsSync(`${project}/nginx/nginx.conf`)) return
  throw new Failure(
    'there is no gateway beside this command, only what asks one: run it in the folder of framegate itself',
  )
}
