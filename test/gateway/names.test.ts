// Names of handlers and sites, with the servers that /etc/resolv.conf may name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { hasIPv6 } from '../support/ipv6.ts'
import { canRename, startNameServer, withResolvConf } from '../support/names.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'

const skip = canRename ? false : 'only root can give nginx another /etc/resolv.conf'
/** nginx's own line about a server that is not there. */
const REFUSED = /recv\(\) failed \(111: Connection refused\), context: ngx\.timer/

for (const [what, lines, server] of [
  ['an IPv6 server', ['::1'], '::1'],
  [
    'one that can be used behind others that cannot',
    ['300.1.1.1', 'fe80::1%lo', 'ns.example', '127.0.0.53'],
    '127.0.0.53',
  ],
  ['one that answers behind one that does not', ['127.0.0.54', '127.0.0.53'], '127.0.0.53'],
] as const) {
  test(`a name is looked up with ${what}`, { skip: skip || (server === '::1' && !hasIPv6) }, async (t) => {
    const port = await freePort()
    await startNameServer(t, server, { 'handler.test': '127.0.0.1' })
    withResolvConf(t, lines.map((line) => `nameserver ${line}\n`).join(''))
    const gateway = await startGateway(t, {
      handler: false,
      env: { HANDLER_URL: `http://handler.test:${port}` },
      expect: [REFUSED],
    })
    await startProbeHandler(t, port)
    const client = await open(`${gateway.ws}/ws/echo`)
    assert.equal(await client.ask('found'), 'found')
    for (const line of lines.filter((line) => !/^(127|::1)/.test(line)))
      await until(line, () => gateway.log().includes(`/etc/resolv.conf: the server ${line} cannot be used: `))
    await client.close()
  })
}

for (const [what, text, reason] of [
  ['nobody knows', 'nameserver 127.0.0.53\n', /127\.0\.0\.53 knows no such name/],
  ['no server answers', 'nameserver 127.0.0.54\n', /127\.0\.0\.54: \S/],
  ['no server can be asked', 'nameserver fe80::1%lo\n', /names no server that can be used/],
] as const) {
  test(`the log says why a name is not found: ${what}`, { skip }, async (t) => {
    await startNameServer(t, '127.0.0.53', {})
    withResolvConf(t, text)
    const gateway = await startGateway(t, {
      handler: false,
      env: { HANDLER_URL: 'http://no-such-host:3000' },
      expect: [REFUSED],
    })
    const line = await until('the line', () => /no-such-host cannot be looked up: .*/.exec(gateway.log())?.[0])
    assert.match(line, reason)
  })
}
