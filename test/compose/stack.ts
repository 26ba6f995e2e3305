// Starts containers of a copy of the project, and looks into them.
import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { DockerComposeEnvironment, Wait } from 'testcontainers'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'

/** Why tests with containers cannot run here, or false: what the option `skip` of a test takes. */
export const noEngine = whyNoEngine()

function whyNoEngine(): string | false {
  const { error, status, stderr } = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], {
    encoding: 'utf8',
  })
  if (error) return 'no docker command here'
  if (status !== 0) return `docker does not answer: ${stderr.trim().split('\n')[0]}`
  if (spawnSync('docker', ['compose', 'version']).status !== 0) return 'docker has no compose here'
  return false
}

/** The files of the checkout as git sees them, with what is not committed yet. */
export function cleanCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), 'framegate-compose-'))
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: project,
    encoding: 'utf8',
  })
  for (const file of new Set(listed.stdout.split('\0').filter(Boolean))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(project, file), join(copy, file), { force: true })
  }
  return copy
}

export class Stack {
  readonly folder = cleanCopy()
  readonly name = `framegate-test-${process.pid}`
  readonly files: string[]
  /** Variables for the compose files, besides the port. */
  variables: Record<string, string> = {}
  port = 0

  constructor(files = ['docker-compose.yml']) {
    this.files = files
  }

  async up(): Promise<void> {
    this.port = await freePort()
    await new DockerComposeEnvironment(this.folder, this.files)
      .withProjectName(this.name)
      .withEnvironment(this.#environment())
      .withAutoCleanup(false)
      .withBuild()
      .withDefaultWaitStrategy(Wait.forHealthCheck())
      .withStartupTimeout(60_000)
      .up()
  }

  /** `docker compose …` on this stack. */
  async compose(...args: string[]): Promise<string> {
    const files = this.files.flatMap((file) => ['-f', file])
    const { stdout } = await promisify(execFile)('docker', ['compose', '-p', this.name, ...files, ...args], {
      cwd: this.folder,
      env: { ...process.env, ...this.#environment() },
    })
    return stdout
  }

  async remove(): Promise<void> {
    try {
      await this.compose('down', '--volumes', '--timeout', '1')
    } finally {
      rmSync(this.folder, { recursive: true, force: true })
    }
  }

  open(path: string): Promise<Client> {
    return open(`ws://127.0.0.1:${this.port}${path}`)
  }

  #environment(): Record<string, string> {
    return { ...this.variables, PORT: `127.0.0.1:${this.port}` }
  }
}
