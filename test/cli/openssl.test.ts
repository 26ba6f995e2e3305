// HANDLER_SECRET, GRIP and CONTROL_AWS_SECRET need OpenSSL: where it is missing, start and reload fail in one line.
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

  const aws = {
    CONTROL_AWS_KEY_ID: 'AKIDEXAMPLE',
    CONTROL_AWS_SECRET: 'a-secret-of-some-length',
    CONTROL_PORT: `127.0.0.1:${await freePort()}`,
    CONTROL_TOKEN: 'a-token-of-some-length',
  }
  for (const needing of [{ HANDLER_SECRET: SECRET }, { HANDLER_PROTOCOL: 'grip' }, { GRIP_KEY: 'secret' }, aws]) {
    const lines = Object.entries(needing).map((pair) => pair.join('='))
    writeFileSync(settings, `${lines.join('\n')}\n`)
    const start = command('start', { PORT: String(await freePort()), RUN_DIR: folder(t) })
    assert.equal(await start.ended, 1, lines[0])
    assert.match(start.output(), REFUSAL)
  }
})
