// docs/asyncapi.md: its app and its client compile together, run, and the app serves its document.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { folder, run } from '../cli/framegate.ts'
import { linkPackages } from '../support/built-package.ts'
import { project } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { onlyBlock, page, withFreePort } from './markdown.ts'
import { behindGateway } from './recipes/recipe.ts'

const PAGE = page('docs/asyncapi.md')

const SETTINGS = {
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    types: ['node'],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    allowImportingTsExtensions: true,
  },
  include: ['server', 'page'],
}

test('the client of the page is that of its app', async (t) => {
  const home = folder(t)
  linkPackages(home)
  for (const name of ['server', 'page']) mkdirSync(join(home, name))
  writeFileSync(join(home, 'package.json'), '{"type":"module"}')
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify(SETTINGS))
  const { text, port } = await withFreePort(onlyBlock(PAGE, 'ts', /export type App/), 3000)
  writeFileSync(join(home, 'server/app.ts'), text)
  writeFileSync(join(home, 'page/client.ts'), onlyBlock(PAGE, 'ts', /createClient/))
  await promisify(execFile)(join(project, 'node_modules/.bin/tsc'), ['-p', home])

  const gateway = await behindGateway(t, { command: process.execPath, args: [join(home, 'server/app.ts')], port })
  const { channels } = (await (await fetch(`http://127.0.0.1:${port}/asyncapi.json`)).json()) as any
  assert.deepEqual(
    Object.values<any>(channels).map(({ address }) => address),
    ['/ws/rooms/{room}', '/ws/count'],
  )

  const code = onlyBlock(PAGE, 'ts', /createClient/)
  assert.ok(code.includes('https://example.com'))
  writeFileSync(join(home, 'page/client.ts'), code.replace('https://example.com', gateway.url))
  const client = run(t, process.execPath, [join(home, 'page/client.ts')])
  const wanted = "Ada: hi\nbody must have required property 'say'\n"
  await until('both answers', () => client.output().endsWith(wanted), 20_000)
})
