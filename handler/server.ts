// The shipped handler as a process: it listens, may replace a running handler, and stops without losing an event.
import { existsSync, lstatSync, renameSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { build } from './app.ts'
import { ConfigError, DEFAULT_LISTEN, readConfig } from './config.ts'
import { forwardRequests } from './forward.ts'

/** Longer than the gateway keeps a connection on which nothing happens (keepalive_timeout in nginx/nginx.conf). */
const REPLACED_MS = 5_000
const POLL_MS = 50
/** A newer handler is about to start: end, but not once clients may have connected. */
const OVERTAKEN = 'SIGUSR2'

/**
 * Starts the handler. On SIGTERM and SIGINT it answers what it holds, and ends. With `--take-over` it replaces another
 * handler on the same unix socket: that one keeps its connections and gets no new ones. With `--check` it only builds the app.
 */
async function main(options: string[]): Promise<void> {
  const config = readConfig(process.env)
  const app = await build(config)
  if (options.includes('--check')) {
    await app.ready()
    process.exit()
  }
  const { listen } = config
  let isReplaced = () => false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, async () => {
      if (isReplaced() && 'path' in listen) await leave(app.server, listen.path)
      await app.close()
    })
  }
  process.removeListener(OVERTAKEN, end).on(OVERTAKEN, () => {})
  if ('path' in listen) {
    await checkPath(listen.path, options.includes('--take-over'))
    const own = await listenAt(listen.path, (path) => app.listen({ path }))
    isReplaced = () => lstatSync(listen.path, { throwIfNoEntry: false })?.ino !== own
    app.server.once('close', () => {
      if (!isReplaced()) unlinkSync(listen.path)
    })
    return console.log(`handler: listening on unix:${listen.path}`)
  }
  await app.listen(listen)
  console.log(`handler: listening on ${listen.host}:${(app.server.address() as { port: number }).port}`)
}

/**
 * Another handler gets new connections, and what arrives on those that stay here. The gateway closes idle ones: if this server
 * did, an event might arrive at the same moment and be lost.
 */
async function leave(server: Server, path: string): Promise<void> {
  forwardRequests(server, path)
  const deadline = Date.now() + REPLACED_MS
  while (Date.now() < deadline && (await connections(server)) > 0) await delay(POLL_MS)
}

function connections(server: Server): Promise<number> {
  return promisify(server.getConnections.bind(server))()
}

/**
 * A server that ends removes the name at which it listened, which may be another server's by then. So it listens at a
 * name of its own, and that is renamed to the path that clients use: in one step, so that every client finds a server.
 * @returns the inode of the socket
 */
async function listenAt(path: string, listen: (own: string) => Promise<unknown>): Promise<number> {
  const own = join(dirname(path), `.${process.pid}`)
  await listen(own)
  renameSync(own, path)
  return lstatSync(path).ino
}

/** A killed handler leaves its socket behind. One that still listens keeps it, unless this one replaces it. */
async function checkPath(path: string, takesOver: boolean): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (!file || (file.isSocket() && (takesOver || !(await isListening(path))))) return
  throw Object.assign(new Error(`${path} is taken`), { code: 'EADDRINUSE' })
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', () => resolve(false))
  })
}

/** One line about an error at the start: what is wrong, and what to do about it. Any other error is a mistake in the app. */
function explain(error: NodeJS.ErrnoException): string {
  const listen = process.env.HANDLER_LISTEN || DEFAULT_LISTEN
  const folder = dirname(listen.replace(/^unix:/, ''))
  switch (error.code) {
    case 'EADDRINUSE':
      return `${listen} is taken: stop what listens there, or set HANDLER_LISTEN to another address`
    case 'EACCES': // which node:net also reports when there is no such folder
      return listen.startsWith('unix:') && !existsSync(folder)
        ? `${folder} does not exist: make it, or set HANDLER_LISTEN to another address`
        : `no permission to listen on ${listen}: set HANDLER_LISTEN to another address`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${listen} is no address of this machine: set HANDLER_LISTEN to another one`
    default:
      if (error instanceof ConfigError) return error.message
      throw error // Node prints its place
  }
}

function end(): void {
  process.exit(1)
}

process.once(OVERTAKEN, end)
main(process.argv.slice(2)).catch((error: NodeJS.ErrnoException) => {
  console.error(`handler: ${explain(error)}`)
  process.exit(1)
})
