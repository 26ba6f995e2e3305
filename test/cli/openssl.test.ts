// HANDLER_SECRET and GRIP need OpenSSL: where it is missing, start and reload fail in one line before any worker does.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { SECRET } from '../support/signatures.ts'
import { copyOfProject, folder, READY, run } from './framegate.ts'

const REFUSAL =
  /^framegate: Lua cannot be loaded: lua\/framegate\/runtime\/hmac\.lua:\d+: signatures need OpenSSL, and none is found: libcrypto\.so\.3, libcrypto\.so\.1\.1\n$/

test('without OpenSSL a secret is refused by reload and start, and the workers stay', async (t) => {
  const copy = copyOfProject(t)
  const file = join(copy, 'lua/framegate/runtime/hmac.lua')
  writeFileSync(file, readFileSync(file, 'utf8').replace('"HMAC_CTX_new"', '"HMAC_CTX_missing"'))
  const settings = join(folder(t), 'settings')
  writeFileSync(settings, '')
  const port = await freePort()
  const env = { PORT: String(port), RUN_DIR: folder(t), ENV_FILE: settings, WORKERS: '1' }
  const command = (name: string, changes: NodeJS.ProcessEnv = {}) =>
    run(t, process.execPath, [join(copy, 'cli/bin.js'), name], { ...env, ...changes })
  const gateway = command('start')
  await gateway.said(READY)
  const client = await open(`ws://127.0.0.1:${port}/ws/echo`)

  writeFileSync(settings, `HANDLER_SECRET=${SECRET}\n`)
  const reload = command('reload')
  assert.equal(await reload.ended, 1)
  assert.match(reload.output(), REFUSAL)
  assert.equal(await client.ask('still here'), 'still here')
  await (await open(`ws://127.0.0.1:${port}/ws/echo`)).close()
  await client.close()

  for (const line of [`HANDLER_SECRET=${SECRET}`, 'HANDLER_PROTOCOL=grip', 'GRIP_KEY=secret']) {
    writeFileSync(settings, `${line}\n`)
    const start = command('start', { PORT: String(await freePort()), RUN_DIR: folder(t) })
    assert.equal(await start.ended, 1, line)
    assert.match(start.output(), REFUSAL)
  }
})
