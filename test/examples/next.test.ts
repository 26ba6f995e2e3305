// examples/next builds and runs as its README shows, where Next.js can be downloaded. It is ten times as large as
// everything else here, so the test installs it for itself.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { behindGateway } from '../docs/recipes/recipe.ts'
import { project } from '../support/gateway.ts'
import { isOffline } from '../support/offline.ts'
import { checkRoom, copyOfExample } from './example.ts'

const execute = promisify(execFile)
const ENV = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', CI: '1' }

/** Installs Next.js and the packed framegate; the reason why it cannot, where there is no network. */
async function install(app: string): Promise<string | undefined> {
  await execute('npm', ['pack', '--workspace', 'framegate', '--pack-destination', app], { cwd: project })
  const manifest = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
  manifest.dependencies.framegate = 'file:framegate-0.1.0.tgz'
  writeFileSync(join(app, 'package.json'), JSON.stringify(manifest))
  try {
    const options = ['--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=0']
    await execute('npm', ['install', ...options], { cwd: app, env: ENV })
    return undefined
  } catch (error) {
    if (isOffline(error)) return 'Next.js cannot be downloaded here'
    throw error
  }
}

test('the chat in Next.js', { timeout: 240_000 }, async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'next')
  const reason = await install(folder)
  if (reason) return t.skip(reason)
  const next = join(folder, 'node_modules/next/dist/bin/next')
  const [, build, [options, , , ...args]] = commands as [string[], string[], string[]]
  await execute(process.execPath, [next, ...build.slice(2)], { cwd: folder, env: ENV })
  const gateway = await behindGateway(t, {
    command: process.execPath,
    args: [options!.replace('NODE_OPTIONS=', ''), next, ...args, folder],
    port,
  })
  await checkRoom(gateway)
  const site = await fetch(`${gateway.url}/nothing`)
  assert.deepEqual([site.status, site.headers.get('x-powered-by')], [404, 'Next.js'])
})
