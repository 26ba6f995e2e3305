// What README.md tells people to write works as it stands there.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { copyOfProject, folder, listening, READY, run } from '../cli/framegate.ts'
import { files } from '../project/files.ts'
import { Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { project, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { onlyBlock, page, rows, section, withFreePort } from './markdown.ts'

const README = page('README.md')
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/protocol.md',
  'docs/architecture.md',
  'docs/operating.md',
  'docs/cluster.md',
  'docs/bench.md',
  'docs/events.md',
  'docs/upgrading.md',
]
const TSC = join(project, 'node_modules/.bin/tsc')
const execute = promisify(execFile)

function only(heading: string, language: string, fits?: RegExp): string {
  return onlyBlock(section(README, heading), language, fits)
}

const ROUTE = only('## Write a route', 'ts', /app\.ws/)

/** The project as people have it when they did what the README says. */
function withRoute(copy: string): void {
  const [importing, registering] = [
    only('## Write a route', 'ts', /^import greet .*\n$/),
    only('## Write a route', 'ts', /^ +await app\.register/),
  ]
  const app = readFileSync(join(copy, 'handler/app.ts'), 'utf8')
  const changed = app
    .replace(/^import form .*\n/m, (line) => line + importing)
    .replace(/^.*app\.register\(form\).*\n/m, (line) => line + registering)
  assert.ok(
    changed.includes(importing) && changed.includes(registering),
    'handler/app.ts registers its routes as before',
  )
  writeFileSync(join(copy, 'handler/routes/greet.ts'), ROUTE)
  writeFileSync(join(copy, 'handler/app.ts'), changed)
}

test('the table of examples has each of them, with its lines of code', () => {
  const notCode = ['README.md', 'package.json', 'tsconfig.json']
  const linesOf = (folder: string): number =>
    files(`${folder}/**/*.*`)
      .filter((file) => !notCode.includes(basename(file)))
      .reduce((sum, file) => sum + page(file).trimEnd().split('\n').length, 0)
  const table = rows(section(README, '## A handler in another language')).map(([link, , lines]) => [
    /\((.*)\)/.exec(link!)![1],
    Number(lines),
  ])
  const folders = readdirSync(join(project, 'examples')).map((name) => `examples/${name}`)
  assert.deepEqual(
    table.sort(),
    folders.sort().map((folder) => [folder, linesOf(folder)]),
  )
  for (const folder of folders) assert.ok(page(`${folder}/README.md`).split('\n').length <= 16, `${folder} is short`)
})

test('the route is seen at once, does what the README says, and lets sockets be', async (t) => {
  const copy = copyOfProject(t)
  const port = await freePort()
  const started = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'dev'], {
    PORT: String(port),
    RUN_DIR: folder(t),
  })
  await started.said(READY)
  const other = await open(`ws://127.0.0.1:${port}/ws/echo`)
  withRoute(copy)
  const client = await until(
    'the route is there',
    () => open(`ws://127.0.0.1:${port}/ws/greet/hall`).catch(() => undefined),
    30_000, // a handler starts while tsc runs
  )

  const [, sent, answer] = /send\('(.*?)'\)[^]*?\/\/ (\{.*\})/.exec(only('## Write a route', 'js'))!
  assert.equal(await client.ask(sent!), answer)
  client.socket.send('{"nam":"Bob"}')
  assert.equal((await client.json()).statusCode, 400)
  client.socket.send('{"name":"Bob"}')
  assert.equal((await client.json()).count, 2)
  assert.deepEqual(await new Client(`ws://127.0.0.1:${port}/ws/greet/cellar`).closed, {
    code: 4404,
    reason: 'no such room',
  })
  assert.equal(await other.ask('still here'), 'still here')
  await Promise.all([client.close(), other.close()])
  started.process.kill('SIGTERM')
  assert.equal(await started.ended, 0, started.output())
})

test('the route and its test compile, and the test passes', async (t) => {
  const copy = copyOfProject(t)
  withRoute(copy)
  mkdirSync(join(copy, 'test'))
  const [file] = /test\/\w+\.test\.ts/.exec(section(README, '## Test a route'))!
  assert.match(only('## Test a route', 'sh'), new RegExp(`^npm test -- ${file}\n$`))
  const text = only('## Test a route', 'ts')
  writeFileSync(join(copy, file), text)
  writeFileSync(join(copy, 'handler/routes/news.ts'), only('### From a route', 'ts'))
  cpSync(join(project, 'tsconfig.json'), join(copy, 'tsconfig.json'))
  await execute(TSC, ['-p', copy])

  const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
  const { stdout } = await execute(process.execPath, ['--test', '--test-reporter=tap', file], { cwd: copy, env })
  assert.match(stdout, /^# pass 1$/m)
  writeFileSync(join(copy, file), text.replace('count: 7', 'count: 8'))
  await assert.rejects(
    execute(process.execPath, ['--test', file], { cwd: copy, env }),
    'it fails when the route does something else',
  )
})

test('the plugin works in a project of one’s own, behind a gateway', async (t) => {
  const copy = copyOfProject(t)
  cpSync(join(project, 'tsconfig.json'), join(copy, 'tsconfig.json'))
  await execute(TSC, ['-p', join(copy, 'plugin/tsconfig.build.json')])
  const app = await withFreePort(only('## Use the plugin in a project of your own', 'ts'), 3000)
  const own = join(copy, 'plugin/own.ts') // where `framegate` is the package that was just built
  writeFileSync(own, app.text)
  const compiler = { extends: '../tsconfig.json', include: ['own.ts'] }
  writeFileSync(join(copy, 'plugin/own.json'), JSON.stringify(compiler))
  await execute(TSC, ['-p', join(copy, 'plugin/own.json')])

  const running = run(t, process.execPath, [own])
  await listening(running, app.port)
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: `http://127.0.0.1:${app.port}` } })
  const client = await open(`${gateway.ws}/ws/hello`)
  assert.equal(await client.ask('Ada'), 'hello Ada')
  await client.close()
  const [state, cookie] = ['ä'.repeat(2_048), 'x'.repeat(4_096)] // in percents the state is three times as long
  const headers = {
    'ce-type': 'framegate.message',
    'ce-state': encodeURIComponent(state),
    cookie,
    'content-type': 'text/plain',
  }
  const answer = await fetch(`http://127.0.0.1:${app.port}/ws/hello`, { method: 'POST', headers, body: 'Ada' })
  assert.equal(answer.status, 200)
})

test('the packages to install are those that the set-up asks for', () => {
  const [, wanted] = /^runtime='(.*)'$/m.exec(page('setup/packages.sh'))!
  const line = only('## Run it', 'sh', /apt-get/).split('\n')[0]
  assert.equal(line, `sudo apt-get install -y --no-install-recommends ${wanted}`)
})

test('every variable, npm script and file that the pages name is there', () => {
  const known = rows(section(page('docs/operating.md'), '## Variables')).map(([name]) => name!.replaceAll('`', ''))
  const { scripts } = JSON.parse(page('package.json'))
  const made = ['handler/routes/greet.ts', 'handler/routes/news.ts', 'test/greet.test.ts', 'lua/vendor/']
  const wrong = PAGES.flatMap((file) => {
    const text = page(file)
    const variables = [...text.matchAll(/(?<![\w.])[A-Z]+(?:_[A-Z]+)+(?![\w-])/g)]
      .map(([name]) => name)
      .filter((name) => !known.includes(name) && !/^(?:(?:FST|CURLOPT|SCENE)_|MAX_TOPCIS$)/.test(name))
    const named = [...text.matchAll(/\bnpm (?:run )?(start|test|pack|install|(?<=run )\w+)/g)].map((match) => match[1]!)
    const commands = named
      .filter((name) => !(name in scripts) && !['pack', 'install'].includes(name))
      .map((name) => `npm ${name}`)
    const paths = [...text.matchAll(/`((?:lua|nginx|plugin|handler|site|cli|bench|docs|test)\/[\w./-]*)`/g)].map(
      (match) => match[1]!,
    )
    return [
      ...variables,
      ...commands,
      ...paths.filter((path) => !made.includes(path) && !existsSync(join(project, path))),
    ].map((what) => `${file}: ${what}`)
  })
  assert.deepEqual(wrong, [])
})

test('the defaults in the README are those of docs/operating.md', () => {
  const plain = (value: string): string =>
    value
      .replaceAll('`', '')
      .replace('1048576', '1 MiB')
      .replace(/^1m$/, '1 MiB')
      .replace(/(\d)s$/, '$1 s')
  const defaults = new Map(
    rows(section(page('docs/operating.md'), '## Variables')).map(([name, value]) => [name, plain(value!)]),
  )
  const limits = rows(section(README, '## Limits')).map(([name, value]) => [name, value])
  assert.ok(limits.length > 5)
  assert.deepEqual(
    limits,
    limits.map(([name]) => [name, defaults.get(name!)]),
  )
})
