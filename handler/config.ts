// The settings of the shipped handler, from the environment.
import { Verifier } from '../plugin/events/signature.ts'

/** How the handler runs. Each field is read from one environment variable. */
export interface Config {
  /** HANDLER_LISTEN: where to listen. */
  listen: { path: string } | { host: string; port: number }
  /** HANDLER_LOG_LEVEL: what is logged. */
  logLevel: string
  /** MAX_MESSAGE_BYTES: the largest frame a route takes, in bytes. */
  maxMessageBytes: number
  /** HANDLER_SECRET: with what the gateway signs events; null if it signs none. */
  secret: string | null
}

export const DEFAULT_LISTEN = '0.0.0.0:3000'
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

/** A value with which the handler cannot start. The message names the variable, the value and what was expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  constructor(variable: string, value: string, expected: string) {
    super(`${variable}=${value}: expected ${expected}`)
  }
}

/**
 * Reads the configuration from the environment. A variable that is missing or empty has its default.
 * @throws {ConfigError} for the first value that is wrong
 */
export function readConfig(env: Record<string, string | undefined>): Readonly<Config> {
  return Object.freeze({
    listen: readListen(env.HANDLER_LISTEN || DEFAULT_LISTEN),
    logLevel: readLogLevel(env.HANDLER_LOG_LEVEL || 'warn'),
    maxMessageBytes: readBytes(env.MAX_MESSAGE_BYTES || '1048576'),
    secret: readSecret(env.HANDLER_SECRET || ''),
  })
}

function readListen(value: string): Config['listen'] {
  if (value.startsWith('unix:/')) return { path: value.slice('unix:'.length) }
  const [, host, port] = /^(\[[\da-f:]+\]|[^:/\s]+):(\d+)$/i.exec(value) ?? []
  if (host === undefined || Number(port) > 65535) {
    throw new ConfigError('HANDLER_LISTEN', value, 'unix:/path/to.sock or host:port, for example 0.0.0.0:3000')
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function readLogLevel(value: string): string {
  if (!LOG_LEVELS.includes(value)) throw new ConfigError('HANDLER_LOG_LEVEL', value, `one of ${LOG_LEVELS.join(', ')}`)
  return value
}

/** A secret is never part of a message. */
function readSecret(value: string): string | null {
  if (value === '') return null
  try {
    new Verifier(value)
    return value
  } catch {
    throw new ConfigError(
      'HANDLER_SECRET',
      '…',
      'whsec_ and 24 to 64 bytes in base64, or two such with a comma between',
    )
  }
}

const UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

function readBytes(value: string): number {
  const [, digits, unit] = /^(\d+)([kmg]?)$/i.exec(value) ?? []
  const bytes = Number(digits) * UNITS[unit?.toLowerCase() ?? '']!
  if (!(bytes >= 1 && bytes <= UNITS.g!)) {
    throw new ConfigError('MAX_MESSAGE_BYTES', value, 'a size from 1 byte to 1g, such as 65536, 64k or 16m')
  }
  return bytes
}
