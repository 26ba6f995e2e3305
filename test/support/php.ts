/** A php-fpm of a test's own: one pool on a unix socket, with scripts of the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from './wait.ts'

export type PhpPool = {
  folder: string
  /** Writes a script, and gives its path. */
  script: (name: string, code: string) => string
  /** The URL of a handler: this script in this pool. */
  url: (script: string, options?: string) => string
  log: () => string
  start: () => Promise<void>
  stop: () => Promise<void>
  /** As `systemctl reload php-fpm` does. */
  reload: () => Promise<void>
}

type PoolOptions = {
  children?: number
  /** Seconds that children have to finish at a reload. */
  grace?: number
  /** More lines of the pool's configuration. */
  more?: string
}

/** Started by root, php-fpm wants to know as whom its children run. */
const configuration = (folder: string, { children = 4, grace = 5, more = '' }: PoolOptions): string => `
[global]
error_log = ${folder}/log
process_control_timeout = ${grace}s
[test]
user = www-data
group = www-data
listen = ${folder}/php.sock
listen.mode = 0666
pm = static
pm.max_children = ${children}
php_admin_value[session.save_path] = ${folder}
php_admin_value[opcache.enable] = 0
php_admin_value[display_errors] = 0
${more}
`

/** Starts a pool; `t.after` ends it. */
export async function startPhp(t: TestContext, options: PoolOptions = {}): Promise<PhpPool> {
  const { grace = 5 } = options
  const folder = mkdtempSync(join(tmpdir(), 'framegate-php-'))
  chmodSync(folder, 0o777)
  const [program] = globSync('/usr/sbin/php-fpm*')
  const log = (): string => (existsSync(`${folder}/log`) ? readFileSync(`${folder}/log`, 'utf8') : '')
  writeFileSync(`${folder}/pool.conf`, configuration(folder, options))
  let master: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const child = spawn(program!, ['--nodaemonize', '--fpm-config', `${folder}/pool.conf`], { stdio: 'ignore' })
    master = child
    await until('the pool listens', () => {
      if (child.exitCode !== null) throw new Error(`php-fpm ended with ${child.exitCode}: ${log()}`)
      return /ready to handle connections/.test(log())
    })
  }
  const stop = async (): Promise<void> => {
    if (!master || master.exitCode !== null || master.signalCode !== null) return
    master.kill('SIGTERM') // killed, it would leave its children behind
    await once(master, 'exit')
    rmSync(`${folder}/log`, { force: true })
  }
  await start()
  t.after(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    folder,
    script: (name, code) => {
      writeFileSync(join(folder, name), code)
      return join(folder, name)
    },
    url: (script, options = '') => `fastcgi://unix:${folder}/php.sock?script=${script}${options}`,
    log,
    start,
    stop,
    reload: async () => {
      const before = log().split('ready to handle connections').length
      master!.kill('SIGUSR2') // it executes itself again, with the same process id
      await until(
        () => `the pool is reloaded: ${log()}`,
        () => log().split('ready to handle connections').length > before,
        10_000 + grace * 1000,
      )
    },
  }
}
