import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type ListenOptions, type Server } from 'node:net'
import { join } from 'node:path'
import { Failure } from '../failure.ts'

const SOCKET_FOLDERS = ['.', 'control', 'internal', 'handler']

export type RunDirectory = { path: string; release: () => void }

/**
 * Takes the run directory for this process. The lock is an abstract unix socket: the kernel frees it with the process,
 * so nothing is left to clean after a kill. The pid file only tells others whom to ask.
 */
export async function takeRunDirectory(path: string): Promise<RunDirectory> {
  mkdirSync(path, { recursive: true })
  const real = realpathSync(path)
  const pidFile = join(real, 'framegate.pid')
  const lock = await listen({ path: `\0framegate-${createHash('sha256').update(real).digest('hex')}` })
  if (!lock) throw new Failure(`it already runs in ${real} (pid ${read(pidFile)}): stop it, or set RUN_DIR`)
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

/** nginx that was killed leaves its unix sockets behind, and refuses to listen where one is. */
async function removeStaleSockets(run: string): Promise<void> {
  for (const folder of SOCKET_FOLDERS) {
    for (const file of socketsIn(join(run, folder))) {
      if (await answers(file)) throw new Failure(`something still listens on ${file}: stop it, or set RUN_DIR`)
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

/** Says in one line why a port cannot be had; nginx would try for seconds and say it many times. */
export async function checkPort(port: number, variable: string): Promise<void> {
  for (const host of ['0.0.0.0', '::']) {
    try {
      const server = await listen({ port, host, ipv6Only: host === '::' })
      if (!server) throw new Failure(`port ${port} is in use: stop what listens there or set ${variable}`)
      await new Promise((resolve) => server.close(resolve))
    } catch (error) {
      if (error instanceof Failure) throw error
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES') throw new Failure(`port ${port} is for root alone: set ${variable} to 1024 or more`)
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
