// The run directory. Only one gateway at a time uses it, its sockets and its ports.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { connect, createServer, type ListenOptions, type Server } from 'node:net'
import { join } from 'node:path'
import { Failure } from '../failure.ts'
import type { Listener } from './nginx.ts'

const SOCKET_FOLDERS = ['.', 'control', 'internal', 'handler']
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR, O_TRUNC } = constants
const BY_OTHERS = 0o022

export type RunDirectory = { path: string; release: () => void }

/**
 * Makes the run directory, or makes sure that nobody else can change what is in it from now on. Before anything is written there;
 * lua/framegate/configure/run_directory.lua looks at the rest.
 * @returns its path without symbolic links
 * @throws {Failure} when it is another user's; root's is anyone's who can write to it
 */
export function prepareRunDirectory(path: string): string {
  const umask = process.umask(0o022) // workers of another user must get through
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    throw new Failure(
      `RUN_DIR=${path}: it cannot be made (${(error as NodeJS.ErrnoException).code}): choose another one`,
    )
  } finally {
    process.umask(umask)
  }
  const real = realpathSync(path)
  const { uid, mode } = statSync(real)
  const own = process.geteuid!()
  if (uid !== own && uid !== 0) {
    const owner = userName(uid)
    throw new Failure(
      `${real} belongs to ${owner}: start the gateway as ${owner}, or choose a RUN_DIR of ${userName(own)}'s own`,
    )
  }
  if (uid === own && mode & BY_OTHERS) chmodSync(real, mode & 0o7777 & ~BY_OTHERS)
  return real
}

/**
 * Locks the run directory for this process, with flock(2) on a file that only its owner can open. The kernel frees the lock with the
 * process, so a killed process leaves nothing to clean up. The pid file only shows which process it is.
 * @throws {Failure} when another process has locked it, or listens on a socket in it
 */
export async function lockRunDirectory(path: string): Promise<RunDirectory> {
  const real = prepareRunDirectory(path)
  const pidFile = join(real, 'framegate.pid')
  const lock = openOwn(join(real, 'framegate.lock'))
  if (!takeLock(lock))
    throw new Failure(`framegate is already running in ${real} (pid ${read(pidFile)}): stop it, or set RUN_DIR`)
  const pid = openOwn(pidFile, O_TRUNC, 0o644)
  writeSync(pid, `${process.pid}\n`)
  closeSync(pid)
  await removeStaleSockets(real)
  return {
    path: real,
    release: () => {
      rmSync(pidFile, { force: true })
      closeSync(lock)
    },
  }
}

/** Opens the log file in the run directory, to append to it. @throws {Failure} when it is a symbolic link */
export function openLog(file: string): number {
  return openOwn(file, O_APPEND, 0o644)
}

/** Opens a file of the run directory, which is made if it is missing. A symbolic link is not followed: whose file it names is unknown. */
function openOwn(file: string, flags = 0, mode = 0o600): number {
  try {
    const opened = openSync(file, O_RDWR | O_CREAT | O_NOFOLLOW | flags, mode)
    if (fstatSync(opened).uid === process.geteuid!()) return opened
    closeSync(opened)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Failure(`${file} ${code === 'ELOOP' ? 'is a symbolic link' : `cannot be opened (${code})`}: remove it`)
  }
  throw new Failure(`${file} belongs to another user: remove it`)
}

/** Node has no flock(2), but flock(1) locks an open file that it inherits, and this process keeps that one open. */
function takeLock(file: number): boolean {
  const { error, status } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
  })
  if (error) throw new Failure('flock is missing: install the package util-linux')
  return status === 0
}

function userName(uid: number): string {
  const name = spawnSync('id', ['-un', String(uid)], { encoding: 'utf8' }).stdout?.trim()
  return name || `user ${uid}`
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
 * @param listener with the variable that sets the port, for the message
 * @throws {Failure} why it cannot
 */
export async function checkPort({ port, variable, hosts }: Listener): Promise<void> {
  for (const host of hosts) {
    try {
      const server = await listen({ port, host, ipv6Only: host === '::' })
      if (!server) throw new Failure(`port ${port} is in use: stop the program that listens there, or set ${variable}`)
      await new Promise((resolve) => server.close(resolve))
    } catch (error) {
      if (error instanceof Failure) throw error
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES') throw new Failure(`only root can listen on port ${port}: set ${variable} to 1024 or more`)
      if (host === hosts[0]) throw error
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
