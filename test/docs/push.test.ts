// The three ways to push that README.md shows work as they stand there.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { copyOfProject, READY, run } from '../cli/framegate.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Block, blocks, page, section } from './markdown.ts'

const PUSH = section(page('README.md'), '## Push')
const execute = promisify(execFile)

function only(language: string, heading: string): Block {
  const found = blocks(section(PUSH, heading), language)
  assert.equal(found.length, 1, `one block of ${language} under "${heading}"`)
  return found[0]!
}

function hasPhp(): boolean {
  try {
    return execFileSync('php', ['-r', 'echo extension_loaded("curl");'], { stdio: 'pipe' }).toString() === '1'
  } catch {
    return false
  }
}

/** A command of the page and, behind `# `, what it prints. */
function example(text: string): { command: string; output: string } {
  const [command = '', output = ''] = text.trimEnd().split('\n# ')
  return { command, output }
}

test('a route, cron, curl and PHP reach a socket', async (t) => {
  const copy = copyOfProject(t)
  const app = readFileSync(join(copy, 'handler/app.ts'), 'utf8')
  const changed = app
    .replace(/^import form .*\n/m, (line) => `${line}import news from './routes/news.ts'\n`)
    .replace(/^.*app\.register\(form\).*\n/m, (line) => `${line}  await app.register(news)\n`)
  assert.equal(changed.split('news').length, 4)
  writeFileSync(join(copy, 'handler/app.ts'), changed)
  writeFileSync(join(copy, 'handler/routes/news.ts'), only('ts', '### From a route').text)
  const port = await freePort()
  const started = run(t, process.execPath, [join(copy, 'cli/framegate.ts'), 'start'], {
    PORT: String(port),
    RUN_DIR: join(copy, 'run'),
  })
  await started.said(READY)
  const reader = await open(`ws://127.0.0.1:${port}/ws/news`)
  const ask = (command: string, env: NodeJS.ProcessEnv = process.env) =>
    execute('sh', ['-c', command.replaceAll('/srv/framegate', copy)], { cwd: copy, timeout: 60_000, env })
  const shell = async (command: string): Promise<string> => (await ask(command)).stdout.trim()

  for (const [heading, frame] of [
    ['### From a route', 'it rains'],
    ['### From any language', 'hello from curl'],
  ] as const) {
    const { command, output } = example(only('sh', heading).text)
    assert.deepEqual(JSON.parse(await shell(command)), JSON.parse(output))
    assert.equal(await reader.next(), frame)
  }

  const [, command] = /^[\d* -]+ {2}(.+)\n$/.exec(only('', '### From cron').text)!
  assert.deepEqual(
    await ask(command!, { PATH: '/usr/bin:/bin' }),
    { stdout: '', stderr: '' },
    'cron has nothing to mail',
  )
  assert.equal(await reader.next(), 'good morning')

  if (hasPhp()) {
    writeFileSync(join(copy, 'push.php'), only('php', '### From any language').text.replaceAll('/srv/framegate', copy))
    assert.deepEqual(JSON.parse(await shell('php push.php')), { delivered: 1, dropped: 0 })
    assert.equal(await reader.next(), 'hello from PHP')
  } else t.diagnostic('PHP is not here, or has no curl')

  const other = await open(`ws://127.0.0.1:${port}/ws/news`)
  other.socket.send('hi')
  assert.equal(await reader.next(), 'a reader says: hi')
  assert.equal((await shell(example(only('sh', '### From any language').text).command)).includes('"delivered":2'), true)
  assert.equal(await other.next(), 'hello from curl', 'not its own')
  await Promise.all([reader.close(), other.close()])
  started.process.kill('SIGTERM')
  assert.equal(await started.ended, 0, started.output())
})
