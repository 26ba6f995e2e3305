/** Blocks of language `console`: what people type, and what is printed then. */
import { exec } from 'node:child_process'

export type Run = { command: string; output: string }

/** The commands of a block: `$ ` begins one, four spaces continue it, the rest is what it prints. */
export function runsOf(text: string): Run[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const lines = part.split('\n')
      const first = lines.findIndex((line, i) => i > 0 && !line.startsWith('    '))
      return { command: lines.slice(0, first).join('\n'), output: lines.slice(first).join('\n') }
    })
}

function values(text: string): unknown[] {
  return text
    .trim()
    .split('\n')
    .sort()
    .map((line) => {
      try {
        return JSON.parse(line)
      } catch {
        return line.trim()
      }
    })
}

/** Status, headers and body of what curl printed; the order of headers and of members of JSON does not count, nor does the time. */
export function printed(text: string): { status: string | undefined; headers: string[]; body: unknown[] } {
  const [, status, head = '', body = ''] = /^(HTTP\/1\.1 .*)\n((?:.+\n)*)\n?([^]*)$/.exec(text) ?? []
  const headers = head
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^date: /i.test(line))
    .sort()
  return { status: status?.trim(), headers, body: values(status === undefined ? text : body) }
}

/** What the command prints to its standard output. */
export function shell(command: string): Promise<string> {
  return new Promise((resolve) =>
    exec(command, { timeout: 20_000 }, (_error, stdout) => resolve(stdout.replaceAll('\r\n', '\n'))),
  )
}
