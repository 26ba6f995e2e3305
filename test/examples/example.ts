/** What the tests of examples/ share: the folder runs as its README shows, on another port, behind a real gateway. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Gateway as Control } from '../../plugin/gateway/gateway.ts'
import { folder } from '../cli/framegate.ts'
import { blocks } from '../docs/markdown.ts'
import { checkChat } from '../docs/recipes/recipe.ts'
import { files } from '../project/files.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, project } from '../support/gateway.ts'

/** The port in the files of all examples. */
const PORT = '9000'

export interface Example {
  folder: string
  port: number
  /** The commands of its README, each as words. */
  commands: string[][]
}

/** A copy of an example in a folder of its own, with a free port in place of 9000. */
export async function copyOfExample(t: TestContext, name: string): Promise<Example> {
  const [copy, port] = [folder(t), await freePort()]
  cpSync(join(project, 'examples', name), copy, { recursive: true })
  const written = files(`examples/${name}/**/*.*`).map((file) => join(copy, file.slice(`examples/${name}/`.length)))
  for (const file of written) writeFileSync(file, readFileSync(file, 'utf8').replaceAll(PORT, String(port)))
  const commands = blocks(readFileSync(join(copy, 'README.md'), 'utf8'), 'sh').flatMap(({ text }) =>
    text.trim().split('\n'),
  )
  assert.ok(
    written.some((file) => readFileSync(file, 'utf8').includes(String(port))),
    `${PORT} is in examples/${name}`,
  )
  return { folder: copy, port, commands: commands.map((command) => command.split(' ')) }
}

/** Whether a program is on this machine; some examples run only where it is. */
export function has(program: string): boolean {
  try {
    execFileSync('which', [program])
    return true
  } catch {
    return false
  }
}

/**
 * The chat of most examples: refusals and messages as `checkChat` tries them, a push over the control API, and the end of
 * a socket, which the others in the room hear of.
 */
export async function checkRoom(gateway: Gateway): Promise<void> {
  await checkChat(gateway)
  const ada = await open(`${gateway.ws}/ws/chat/hall?name=Ada`)
  const bob = await open(`${gateway.ws}/ws/chat/hall?name=Bob`)
  await checkPush(gateway, 'chat:hall', [ada, bob])
  await ada.close()
  assert.equal(await bob.next(), 'Ada left')
  await bob.close()
}

/** A push to a topic reaches these clients, and nobody else. */
export async function checkPush(
  gateway: Gateway,
  topic: string,
  clients: Array<{ next(): Promise<unknown> }>,
): Promise<void> {
  const control = new Control({ url: `unix:${gateway.run}/control/control.sock` })
  assert.deepEqual(await control.publish(topic, 'pushed'), { delivered: clients.length, dropped: 0 })
  control.end()
  for (const client of clients) assert.equal(await client.next(), 'pushed')
}
