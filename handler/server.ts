import { existsSync, lstatSync, renameSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { build } from './app.ts'
import { ConfigError, DEFAULT_LISTEN, readConfig } from './config.ts'

/**
 * Starts the handler; SIGTERM and SIGINT let it answer what it holds and end. With `--take-over` it listens in the
 * place of another handler on the same unix socket, which holds its connections and gets no new ones.
 */
async function main(takesOver: boolean): Promise<void> {
  const config = readConfig(process.env)
  const app = await build(config)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => app.close())
  }
  const { listen } = config
  if ('path' in listen) {
    await checkPath(listen.path, takesOver)
    const moved = await listenAt(listen.path, (path) => app.listen({ path }))
    app.server.once('close', () => removeOwn(listen.path, moved))
    return console.log(`handler: listening on unix:${listen.path}`)
  }
  await app.listen(listen)
  console.log(`handler: listening on ${listen.host}:${(app.server.address() as { port: number }).port}`)
}

/**
 * A server that ends removes the name it listened at, and by then that may be another's. So it listens at a name of its
 * own, which is moved to where clients look; in one step, so that no client finds nothing.
 * @returns the number of the socket's file
 */
async function listenAt(path: string, listen: (own: string) => Promise<unknown>): Promise<number> {
  const own = join(dirname(path), `.${process.pid}`)
  await listen(own)
  renameSync(own, path)
  return lstatSync(path).ino
}

function removeOwn(path: string, inode: number): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === inode) unlinkSync(path)
}

/** A handler that was killed leaves its socket behind. One that is still listening keeps it, unless it is to be replaced. */
async function checkPath(path: string, takesOver: boolean): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (!file || (file.isSocket() && (takesOver || !await isListening(path)))) return
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

/** One line for what keeps the handler from starting: what is wrong, and what to do about it. */
function explain(error: NodeJS.ErrnoException): string {
  const listen = process.env.HANDLER_LISTEN || DEFAULT_LISTEN
  const folder = dirname(listen.replace(/^unix:/, ''))
  switch (error.code) {
    case 'EADDRINUSE': return `${listen} is taken: stop what listens there, or set HANDLER_LISTEN to another address`
    case 'EACCES': // which node:net also reports when there is no such folder
      return listen.startsWith('unix:') && !existsSync(folder)
        ? `${folder} does not exist: make it, or set HANDLER_LISTEN to another address`
        : `no permission to listen on ${listen}: set HANDLER_LISTEN to another address`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND': return `${listen} is no address of this machine: set HANDLER_LISTEN to another one`
    default: return (error instanceof ConfigError ? error.message : error.stack) ?? error.message
  }
}

main(process.argv.includes('--take-over')).catch((error: NodeJS.ErrnoException) => {
  console.error(`handler: ${explain(error)}`)
  process.exit(1)
})
