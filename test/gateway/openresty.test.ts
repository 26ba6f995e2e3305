// NGINX: a gateway on the nginx that it names. OpenResty has Lua and its libraries built in; Debian's nginx loads modules.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { comeBack, cutOff, isWell, pushTo, startStage } from '../session/support.ts'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'

function find(program: string): string {
  const command = 'PATH=$PATH:/usr/sbin command -v "$0"'
  return spawnSync('sh', ['-c', command, program], { encoding: 'utf8' }).stdout.trim()
}

async function startSite(t: TestContext): Promise<string> {
  const site = createServer((request, response) => response.end(`the site's ${request.url}`))
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    site.closeAllConnections()
    site.close()
  })
  return `http://localhost:${(site.address() as AddressInfo).port}`
}

for (const [what, program, loadsModules] of [
  ['Debian’s nginx', find('nginx'), true],
  ['OpenResty', process.env.OPENRESTY || find('openresty'), false],
] as const) {
  const skip = program ? false : `there is no ${what}: OPENRESTY is its nginx, or openresty is on the PATH`
  test(`${what}: echo, push, the site, a session, a reload`, { skip }, async (t) => {
    const stage = await startStage(t, { env: { NGINX: program, SITE_URL: await startSite(t) } })
    const { gateway } = stage
    assert.equal(readlinkSync(`/proc/${gateway.pid}/exe`), realpathSync(program))
    const main = readFileSync(`${gateway.run}/nginx/generated/main.conf`, 'utf8')
    assert.equal(main.includes('load_module'), loadsModules)

    const client = await open(`${gateway.ws}/ws/plain`)
    assert.equal(await client.ask('hello'), 're hello')
    assert.equal(await pushTo(stage, stage.idOf('/ws/plain'), 'pushed'), 200)
    assert.equal(await client.next(), 'pushed')
    assert.equal(await (await fetch(`${gateway.url}/page?a=1`)).text(), "the site's /page?a=1")

    const session = await stage.enter('/ws/session')
    const id = await cutOff(stage, session, '/ws/session')
    assert.equal(await pushTo(stage, id, 'while away'), 200)

    await gateway.reload()
    assert.equal(await client.ask('still here'), 're still here')
    const later = await open(`${gateway.ws}/ws/later`)
    assert.equal(await later.ask('hello'), 're hello')
    await comeBack(session)
    assert.equal(session.first.resumed, true)
    assert.equal(await session.next(), 'while away')
    assert.ok(await isWell(session, 'again'))

    await Promise.all([client.close(), later.close()])
    assert.equal(existsSync(`${gateway.run}/logs`), false)
    assert.doesNotMatch(gateway.log(), /\[(error|alert|emerg)\]/)
  })
  test(`${what}: frames are written with its own send function`, { skip }, async (t) => {
    const gateway = await startGateway(t, {
      handler: false,
      env: { NGINX: program, WORKERS: '1' },
      locations: `location = /address {
        content_by_lua_block { ngx.print(require("framegate.runtime.direct_io").address() ~= nil) }
      }`,
    })
    assert.equal(await (await fetch(`${gateway.url}/address`)).text(), 'true')
  })
}
