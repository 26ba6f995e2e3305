// The checks of `framegate check`: is the configuration valid, and does every part answer?
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { exchange, TimeoutError } from '../../plugin/gateway/exchange.ts'
import { watchesHandler } from '../environment.ts'
import { checkHandler, shippedHandler } from './handler-process.ts'
import { check, isDemoSite, type Listener, listeners, type Settings } from './nginx.ts'
import { checkPort } from './run-directory.ts'

const TIMEOUT_MS = 5_000

export type Finding = { what: string; isWell: boolean; text: string }

/**
 * Checks what a start or a reload with these variables needs.
 * @param isRunning whether a gateway runs in the run directory
 */
export async function findings(run: string, env: NodeJS.ProcessEnv, isRunning: boolean): Promise<Finding[]> {
  let settings: Settings
  try {
    settings = check(run, env)
    watchesHandler(env, false)
  } catch (error) {
    return [{ what: 'configuration', isWell: false, text: (error as Error).message }]
  }
  const found = [{ what: 'configuration', isWell: true, text: 'variables, nginx and Lua' }]
  const others = [
    ...(env.HANDLER_URL
      ? settings.HANDLER_URL.map((url) => handlerAnswers(url, 'HANDLER_URL'))
      : [loads(settings, env)]),
    ...locationHandlers(settings).map((url) => handlerAnswers(url, '$ws_handler in nginx/locations.d')),
    ...(isDemoSite(settings) ? [] : [answers('site', settings.SITE_URL, 'SITE_URL')]),
  ]
  const own = isRunning
    ? [control(settings), ...(env.HANDLER_URL ? [] : [answers('handler', settings.HANDLER_URL[0]!, 'HANDLER_URL')])]
    : listeners(settings).map(free)
  return [...found, ...(await Promise.all([...own, ...others]))]
}

async function loads(settings: Settings, env: NodeJS.ProcessEnv): Promise<Finding> {
  const problem = await checkHandler(shippedHandler(settings, env)).then(
    () => undefined,
    (error: Error) => error.message,
  )
  return { what: 'handler code', isWell: !problem, text: problem ?? 'handler/ can be loaded' }
}

async function free(listener: Listener): Promise<Finding> {
  const problem = await checkPort(listener).then(
    () => undefined,
    (error: Error) => error.message,
  )
  return {
    what: `port ${listener.port}`,
    isWell: !problem,
    text: problem ?? 'is free; the gateway is not running: framegate start',
  }
}

async function control({ CONTROL_SOCKET }: Settings): Promise<Finding> {
  const { isWell, text } = await answers('control', `http://unix:${CONTROL_SOCKET}`, 'CONTROL_SOCKET', '/healthz')
  return {
    what: 'control',
    isWell,
    text: existsSync(CONTROL_SOCKET) ? text : `${CONTROL_SOCKET} is missing: restart the gateway`,
  }
}

/** The URLs of the handlers that locations name, each with its weight, if it has one. */
function locationHandlers(settings: Settings): string[] {
  return [...new Set(Object.values(settings.location_handlers).flatMap((urls) => urls.split(', ')))]
}

/** @param entry an URL, perhaps with a weight behind it */
async function handlerAnswers(entry: string, variable: string): Promise<Finding> {
  const url = entry.split(' ')[0]!
  if (!url.startsWith('fastcgi:')) return answers('handler', url, variable)
  const problem = await connects(url).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )
  return {
    what: 'handler',
    isWell: !problem,
    text: problem ? `${url} cannot be reached (${problem}): start it, or set ${variable}` : `${url} can be reached`,
  }
}

/** Connects to a FastCGI server, which sends nothing by itself. */
async function connects(url: string): Promise<void> {
  const place = url.slice('fastcgi://'.length).split('?')[0]!
  const { host, port } = /^(?<host>.*):(?<port>\d+)$/.exec(place)?.groups ?? {}
  const socket = place.startsWith('unix:')
    ? connect({ path: place.slice('unix:'.length) })
    : connect({ host: host!.replace(/^\[|\]$/g, ''), port: Number(port) })
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new TimeoutError(TIMEOUT_MS)))
  await once(socket, 'connect').finally(() => socket.destroy())
}

/** Any HTTP answer will do, except those of a proxy without a server behind it. */
async function answers(what: string, url: string, variable: string, path = '/'): Promise<Finding> {
  const { status, problem } = await probe(url, path)
  if (problem)
    return { what, isWell: false, text: `${url} cannot be reached (${problem}): start it, or set ${variable}` }
  if (status === 502 || status === 504)
    return { what, isWell: false, text: `${url} answers ${status}: the server behind it does not answer` }
  return { what, isWell: true, text: `${url} answers` }
}

async function probe(url: string, path: string): Promise<{ status?: number; problem?: string }> {
  try {
    return await exchange(url, { path, timeoutMs: TIMEOUT_MS, statusOnly: true, anyCertificate: true })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { problem: error instanceof TimeoutError ? message : (code ?? message) }
  }
}
