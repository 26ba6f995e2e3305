// A terminal that goes away: a gateway that runs on it stops, one that nohup started stays.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { folder, READY, run } from './framegate.ts'

const START = `${process.execPath} cli/bin.js start`

for (const [name, wrap] of [
  ['nohup', ['nohup', ...START.split(' ')]],
  ['a terminal', ['script', '--quiet', '--return', '--command', START, '/dev/null']],
] as const) {
  test(`SIGHUP after a start with ${name}`, async (t) => {
    const env = { PORT: String(await freePort()), RUN_DIR: folder(t) }
    const gateway = run(t, wrap[0]!, wrap.slice(1), env)
    await gateway.said(READY)
    const client = await open(`ws://127.0.0.1:${env.PORT}/ws/echo`)
    const pid = Number(readFileSync(join(env.RUN_DIR, 'framegate.pid'), 'utf8'))

    process.kill(pid, 'SIGHUP')
    if (name === 'a terminal') {
      assert.equal((await client.closed).code, 1001)
      assert.equal(await gateway.ended, 0)
      return
    }
    const status = run(t, process.execPath, ['cli/bin.js', 'status', '--json'], env)
    assert.equal(await status.ended, 0, status.output())
    assert.equal(await client.ask('still there?'), 'still there?')
    process.kill(pid, 'SIGTERM')
    assert.equal((await client.closed).code, 1001)
    assert.equal(await gateway.ended, 0)
  })
}
