import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { build } from './app.ts'
import { ConfigError, DEFAULT_LISTEN, readConfig } from './config.ts'

/** Starts the handler; SIGTERM and SIGINT let it answer what it holds and end. */
async function main(): Promise<void> {
  const config = readConfig(process.env)
  const app = await build(config)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => app.close())
  }
  const { listen } = config
  if ('path' in listen) await removeStaleSocket(listen.path)
  await app.listen(listen)
  const address = app.server.address()
  const where = 'path' in listen ? `unix:${listen.path}` : `${listen.host}:${(address as { port: number }).port}`
  console.log(`handler: listening on ${where}`)
}

/** A handler that was killed leaves its socket behind. One that is still listening keeps it. */
async function removeStaleSocket(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (!file?.isSocket() || await isListening(path)) return
  unlinkSync(path)
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

main().catch((error: NodeJS.ErrnoException) => {
  console.error(`handler: ${explain(error)}`)
  process.exit(1)
})
