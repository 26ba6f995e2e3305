// docs/recipes/next.md builds in a Next.js app of its own, and works as it stands there. Next.js is ten times as large as
// everything else here, so the test installs it for itself.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { folder } from '../../cli/framegate.ts'
import { isOffline } from '../../support/offline.ts'
import { withFreePort } from '../markdown.ts'
import { behindGateway, checkChat, code } from './recipe.ts'

const PACKAGES = ['next@16', 'react@19', 'react-dom@19', 'typescript@5', '@types/react@19', '@types/node@24']
const execute = promisify(execFile)
const ENV = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', CI: '1' }

/** Installs Next.js; the reason why it cannot, where there is no network. */
async function install(app: string): Promise<string | undefined> {
  writeFileSync(join(app, 'package.json'), '{"private":true}')
  const options = ['--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=0']
  try {
    await execute('npm', ['install', ...options, ...PACKAGES], { cwd: app, env: ENV })
    return undefined
  } catch (error) {
    if (isOffline(error)) return 'Next.js cannot be downloaded here'
    throw error
  }
}

test('a route handler of Next.js answers events', { timeout: 240_000 }, async (t: TestContext) => {
  const app = folder(t)
  const reason = await install(app)
  if (reason) return t.skip(reason)
  mkdirSync(join(app, 'app/ws/chat/[room]'), { recursive: true })
  writeFileSync(join(app, 'app/ws/chat/[room]/route.ts'), code('next', 'ts'))
  const [build, start] = code('next', 'sh', /next build/).split('\n')
  const next = join(app, 'node_modules/next/dist/bin/next')
  await execute(process.execPath, [next, ...build!.split(' ').slice(2)], { cwd: app, env: ENV })
  const { text, port } = await withFreePort(start!, 3000)
  const [options, , , ...args] = text.split(' ')
  const gateway = await behindGateway(t, {
    command: process.execPath,
    args: [options!.replace('NODE_OPTIONS=', ''), next, ...args, app],
    port,
  })
  await checkChat(gateway)
  const site = await fetch(`${gateway.url}/nothing`)
  assert.deepEqual([site.status, site.headers.get('x-powered-by')], [404, 'Next.js'])
})
