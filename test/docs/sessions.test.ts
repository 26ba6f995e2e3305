// docs/sessions.md: its code runs, and it has the defaults and the words of the gateway.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { open } from '../support/client.ts'
import { project } from '../support/gateway.ts'
import { SessionClient } from '../support/session-client.ts'
import { until } from '../support/wait.ts'
import { blocks, onlyBlock, page, rows, section } from './markdown.ts'
import { projectWithRoute, startProject } from './recipes/routes.ts'

const PAGE = page('docs/sessions.md')
/** How long the second client may be away: long enough for it to come back on a slow machine. */
const KEPT = '4s'

/** Runs the script of the page. Its WebSockets can be cut: `ws` shows the TCP connection of each. */
async function runClient(t: TestContext, port: string): Promise<{ socket: any; cut: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-sessions-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const source = pathToFileURL(join(project, 'web/client/reconnecting-socket.js')).href
  const ws = pathToFileURL(join(project, 'node_modules/ws/wrapper.mjs')).href
  const script = blocks(PAGE, 'js')[0]!
    .text.replace("'framegate/client'", `'${source}'`)
    .replace('localhost:8080', `127.0.0.1:${port}`)
    .replace('session: true', 'session: true, min: 1, WebSocket: Recorded')
  writeFileSync(
    join(folder, 'script.mjs'),
    `import WebSocket from '${ws}'\nlet last\nclass Recorded extends WebSocket {\n  constructor(...given) {\n` +
      `    super(...given)\n    last = this\n  }\n}\n${script}\nconst cut = () => last.terminate()\nexport { socket, cut }\n`,
  )
  const run = await import(pathToFileURL(join(folder, 'script.mjs')).href)
  t.after(() => run.socket.close())
  return run
}

test('the route and the script of the page: a cut loses nothing', async (t) => {
  const copy = projectWithRoute(t, 'orders', onlyBlock(PAGE, 'ts', /orders/))
  const { ws } = await startProject(t, copy)
  const said: unknown[][] = []
  t.mock.method(console, 'log', (...words: unknown[]) => void said.push(words))
  const { socket, cut } = await runClient(t, new URL(ws).port)
  await until('the answer', () => said.length === 1)
  cut()
  socket.send('cake')
  await until('it is back', () => said.length === 3)
  assert.deepEqual(said.sort(), [['back: nothing was missed'], ['{"ordered":"cake"}'], ['{"ordered":"tea"}']])
})

test('the route of the page that shows who is away', async (t) => {
  const copy = projectWithRoute(t, 'desk', onlyBlock(PAGE, 'ts', /desk/).replace("'2m'", `'${KEPT}'`))
  const { ws } = await startProject(t, copy)
  const ada = await open(`${ws}/ws/desk?name=Ada`)
  assert.equal(await ada.next(), 'Ada is here')
  const bob = await new SessionClient(Number(new URL(ws).port), '/ws/desk?name=Bob').dial()
  assert.equal(await ada.next(), 'Bob is here')
  bob.cut()
  assert.equal(await ada.next(), 'Bob is away')
  await bob.dial()
  assert.equal(bob.first.resumed, true)
  assert.equal(await ada.next(), 'Bob is back')
  bob.cut()
  assert.deepEqual([await ada.next(), await ada.next()], ['Bob is away', 'Bob has left'])
  await ada.close()
})

test('the page has the defaults of operating.md, and the reason of the gateway', () => {
  const cells = (text: string): string[][] => rows(text).map((row) => row.map((cell) => cell.replaceAll('`', '')))
  const defaults = new Map(
    cells(section(page('docs/operating.md'), '## Variables')).map(([name, value]) => [name, value]),
  )
  const limits = cells(section(PAGE, '## Limits'))
  assert.equal(limits.length, 5)
  for (const [name, value] of limits) assert.equal(value, defaults.get(name), name)
  const [, reason] = /\("(its client was away for %g s)"\)/.exec(page('lua/framegate/socket/detached.lua'))!
  assert.ok(PAGE.includes(`\`${reason!.replace('%g', '120')}\``))
})
