// What the set-up does with the services that Debian's packages bring.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { GenericContainer, type StartedTestContainer } from 'testcontainers'
import { project } from '../support/gateway.ts'
import { noEngine } from './stack.ts'

const ENABLED = 'find /etc/systemd/system/*.wants /etc/rc?.d/S* -name "*nginx*" 2>/dev/null | sort'
const NGINX = 'grep -l "^nginx: " /proc/[0-9]*/cmdline | sort'

suite("setup/packages.sh leaves the machine's own nginx alone", { skip: noEngine }, () => {
  let machine: StartedTestContainer

  async function shell(command: string): Promise<string> {
    const { output, exitCode } = await machine.exec(['sh', '-c', command])
    assert.ok(exitCode === 0 || output === '', output)
    return output.trim()
  }

  before(async () => {
    machine = await new GenericContainer('debian:trixie-slim')
      .withCommand(['sleep', 'infinity'])
      .withCopyDirectoriesToContainer([{ source: `${project}/setup`, target: '/setup' }])
      .start()
    await shell('rm -f /usr/sbin/policy-rc.d; apt-get -qq update')
  })
  after(() => machine?.stop())

  test('a new one is neither started nor enabled', async () => {
    await shell('sh /setup/packages.sh')
    assert.equal(await shell('nginx -v 2>&1 | grep -o nginx/'), 'nginx/')
    assert.equal(await shell(NGINX), '')
    assert.equal(await shell(ENABLED), '')
    assert.equal(await shell('ls /usr/sbin/policy-rc.d 2>/dev/null'), '')
  })

  test('one that runs goes on as it was, enabled and not reloaded', async () => {
    await shell(
      'apt-get -qq purge -y libnginx-mod-http-lua nginx nginx-common && apt-get -qq install -y --no-install-recommends nginx',
    )
    await shell('pidof nginx || service nginx start')
    const [enabled, processes] = [await shell(ENABLED), await shell(NGINX)]
    assert.match(enabled, /nginx/)
    assert.match(processes, /cmdline/)

    await shell('sh /setup/packages.sh')
    assert.match(await shell('ls /usr/lib/nginx/modules'), /ngx_http_lua_module.so/)
    assert.equal(await shell(ENABLED), enabled)
    assert.equal(await shell(NGINX), processes)
  })
})
