/** What the tests of docs/recipes share: the code of a page runs as the page shows it, behind a real gateway. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { listening, run } from '../../cli/framegate.ts'
import { Client, open } from '../../support/client.ts'
import { type Gateway, startGateway } from '../../support/gateway.ts'
import { onlyBlock, page } from '../markdown.ts'

export type Handler = { command: string; args: string[]; port: number; env?: NodeJS.ProcessEnv }

/** Debian's Python, which has Debian's packages; another one may come first in the PATH. */
export const PYTHON = '/usr/bin/python3'

/** Reads code from a page of docs/recipes: `code('django', 'python', /def chat/)` is the one block that fits. */
export function code(recipe: string, language: string, fits?: RegExp): string {
  return onlyBlock(page(`docs/recipes/${recipe}.md`), language, fits)
}

/** Starts a handler and, once it listens, a gateway with HANDLER_URL and SITE_URL set to it. */
export async function behindGateway(t: TestContext, handler: Handler): Promise<Gateway> {
  const { command, args, port, env } = handler
  const started = run(t, command, args, env)
  await listening(started, port)
  const url = `http://127.0.0.1:${port}`
  return startGateway(t, { handler: false, env: { HANDLER_URL: url, SITE_URL: url } })
}

/**
 * The chat of most pages: a handshake without `?name=` is refused with 400, one with 21 KB of headers is not, and what one
 * person says goes to all in the room, byte for byte.
 */
export async function checkChat(gateway: Gateway): Promise<void> {
  await assert.rejects(new Client(`${gateway.ws}/ws/chat/lobby`).opened, /400/)
  const large = Object.fromEntries(['cookie', 'authorization', 'user-agent'].map((name) => [name, 'x'.repeat(7_000)]))
  const ada = await open(`${gateway.ws}/ws/chat/lobby?name=Ada`, { headers: large })
  const bob = await open(`${gateway.ws}/ws/chat/lobby?name=Bob`)
  for (const text of ['Grüße', '{"json":true}', '']) {
    assert.equal(await ada.ask(text), `Ada: ${text}`)
    assert.equal(await bob.next(), `Ada: ${text}`)
  }
  await Promise.all([ada.close(), bob.close()])
}
