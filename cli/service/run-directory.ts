// The run directory: one gateway at a time uses it, with its sockets and its ports.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type ListenOptions, type Server } from 'node:net'
import { join } from 'node:path'
import { Failure } from '../failure.ts'

const SOCKET_FOLDERS = ['.', 'control', 'internal', 'handler']

export type RunDirectory = { path: string; release: () => void }

/**
 * Locks the run directory for this process. The lock is an abstract unix socket (unix(7)): the kernel frees it with the
 * process, so a killed process leaves nothing to clean up. The pid file only shows which process it is.
 * @throws {Failure} when another process has locked it, or listens on a socket in it
 */
export async function lockRunDirectory(path: string): Promise<RunDirectory> {
  mkdirSync(path, { recursive: true })
  const real = realpathSync(path)
  const pidFile = join(real, 'framegate.pid')
  const lock = await listen({ path: `\0framegate-${createHash('sha256').update(real).digest('hex')}` })
  if (!lock)
    throw new Failure(`framegate is already running in ${real} (pid ${read(pidFile)}): stop it, or set RUN_DIR`)
  writeFileSync(pidFile, `${process.pid}\n`)
  await removeStaleSockets(real)
  return {
    path: real,
    release: () => {
      rmSync(pidFile, { force: true })
      lock.close()
    },
  }
}

/** A killed nginx leaves its unix sockets behind, and nginx refuses to listen where one is. */
async function removeStaleSockets(run: string): Promise<void> {
  for (const folder of SOCKET_FOLDERS) {
    for (const file of socketsIn(join(run, folder))) {
      if (await answers(file)) throw new Failure(`another process listens on ${file}: stop it, or set RUN_DIR`)
      rmSync(file, { force: true })
    }
  }
}

function socketsIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isSocket()).map((entry) => join(folder, entry.name))
  } catch {
    return []
  }
}

function answers(socketFile: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketFile)
    socket
      .once('connect', () => resolve(true))
      .once('error', () => resolve(false))
      .once('connect', () => socket.destroy())
  })
}

/**
 * Checks that nginx can listen on a port. nginx itself would try for seconds, and log the problem many times.
 * @param variable which sets the port, for the message
 * @throws {Failure} why it cannot
 */
export async function checkPort(port: number, variable: string): Promise<void> {
  for (const host of ['0.0.0.0', '::']) {
    try {
      const server = await listen({ port, host, ipv6Only: host === '::' })
      if (!server) throw new Failure(`port ${port} is in use: stop the program that listens there, or set ${variable}`)
      await new Promise((resolve) => server.close(resolve))
    } catch (error) {
      if (error instanceof Failure) throw error
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES') throw new Failure(`only root can listen on port ${port}: set ${variable} to 1024 or more`)
      if (host === '0.0.0.0') throw error
    }
  }
}

function listen(where: ListenOptions): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('listening', () => resolve(server))
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(where)
  })
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
