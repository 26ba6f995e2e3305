/** The command framegate, as a child process that reaches the control API. */
import { spawn } from 'node:child_process'
import { join as joinPath } from 'node:path'
import { type Gateway, project } from '../support/gateway.ts'
import { controlSocket } from '../support/push-gateway.ts'

export type Ended = { status: number | null; stdout: string; stderr: string }

export type Options = { input?: string | Buffer; env?: Record<string, string>; cwd?: string }

/** Runs the command; standard input is empty unless given. */
export function framegate(args: string[], { input = '', env = {}, cwd = project }: Options = {}): Promise<Ended> {
  const { CONTROL_SOCKET, CONTROL_URL, CONTROL_TOKEN, RUN_DIR, ...clean } = process.env
  const child = spawn(process.execPath, [joinPath(project, 'cli/bin.js'), ...args], { cwd, env: { ...clean, ...env } })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text) => {
      output[stream] += text
    })
  child.stdin.on('error', () => {}).end(input)
  return new Promise((resolve, reject) =>
    child.on('error', reject).on('close', (status) => resolve({ status, ...output })),
  )
}

export function commandFor(gateway: Gateway): (args: string[], options?: Options) => Promise<Ended> {
  return (args, options) =>
    framegate(args, { ...options, env: { CONTROL_SOCKET: controlSocket(gateway), ...options?.env } })
}
