// docs/client.md: its examples run, and its tables are those of the code.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { worthRetrying } from '../../web/client/reconnecting-socket.js'
import { withDefaults } from '../../web/client/settings.js'
import { project, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { blocks, page, rows, section } from './markdown.ts'

const CLIENT = page('docs/client.md')
const FOR_TESTS = ['random', 'clock', 'network']

test('the first example of the page is answered', async (t) => {
  const gateway = await startGateway(t)
  const folder = mkdtempSync(join(tmpdir(), 'framegate-client-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const source = pathToFileURL(join(project, 'web/client/reconnecting-socket.js')).href
  const example = blocks(CLIENT, 'js')[0]!.text
  const code = example
    .replace("'framegate/client'", `'${source}'`)
    .replace('localhost:8080', `127.0.0.1:${gateway.port}`)
  assert.ok(code.includes(source) && code.includes(String(gateway.port)))
  writeFileSync(join(folder, 'example.mjs'), `${code}\nexport { socket }\n`)
  const said = t.mock.method(console, 'log', () => {})
  const { socket } = await import(pathToFileURL(join(folder, 'example.mjs')).href)
  t.after(() => socket.close())
  await until('the answer', () => said.mock.calls.some((call) => (call.arguments as unknown[])[0] === 'hello'))
})

test('the table of options is that of the code', () => {
  const inCode = Object.entries(withDefaults({})).filter(([name]) => !FOR_TESTS.includes(name))
  const documented = rows(section(CLIENT, '## Options')).map((cells) =>
    cells.slice(0, 2).map((cell) => cell.replaceAll('`', '')),
  )
  const text = ([name, value]: [string, unknown]) => [
    name,
    { retry: 'worthRetrying', WebSocket: 'the global one' }[name] ?? String(value),
  ]
  assert.deepEqual(documented, inCode.map(text))
  assert.equal(withDefaults({}).retry, worthRetrying)
})

test('the page names the close codes after which it dials again', () => {
  const codes = Array.from({ length: 4_000 }, (_, i) => 1_000 + i).filter((code) => worthRetrying({ code }))
  const named = section(CLIENT, '## When it dials again')
    .split('It stops after')[0]!
    .match(/\b1\d{3}\b/g)
  assert.deepEqual(named!.map(Number), codes)
})
