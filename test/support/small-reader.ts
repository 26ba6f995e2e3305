/** A WebSocket with a receive buffer of 4 KB, which reads when the test wants. Node cannot ask for such a buffer. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { project } from './gateway.ts'
import { until } from './wait.ts'

export class SmallReader {
  readonly #child: ChildProcessWithoutNullStreams
  #text = ''

  constructor(t: TestContext, port: number, path: string) {
    this.#child = spawn('luajit', [join(project, 'test/support/small-reader.lua'), `${port}`, path])
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#text += chunk
    })
    t.after(() => this.#child.kill())
  }

  /** Begins to read. */
  read(): void {
    this.#child.stdin.write('go\n')
  }

  /** The bytes that it has read, with the heads of the frames, once this is among them. */
  async readUntil(end: string): Promise<string> {
    await until(`it has read ${end}`, () => this.#text.includes(end), 20_000)
    return this.#text
  }
}
