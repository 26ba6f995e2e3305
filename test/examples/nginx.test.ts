// examples/nginx is the server of an nginx of the test's own, in front of a site and a gateway.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { toNodeHandler } from '../../plugin/events/index.ts'
import { folder, listening, run } from '../cli/framegate.ts'
import { page } from '../docs/markdown.ts'
import { Client, open } from '../support/client.ts'
import { openStream } from '../support/event-stream.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { checkPush } from './example.ts'

const nginxConf = (own: string): string => `
daemon off;
master_process off;
pid ${own}/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path ${own}/body;
    proxy_temp_path ${own}/proxy;
    include site.conf;
}
`

test('an nginx with a site passes its sockets on', async (t) => {
  const addresses: unknown[] = []
  const events = toNodeHandler((event, reply, request) => {
    addresses.push([event.type, request.headers['x-forwarded-for'], request.headers.host])
    if (event.type === 'open') reply.subscribe('news')
    return event.type === 'message' ? `the site got ${event.frame}` : undefined
  })
  const site = createServer((request, response) => {
    if (request.url!.startsWith('/ws/')) void events(request, response)
    else response.end(`page ${request.url}`)
  }).listen(0, '127.0.0.1')
  t.after(() => site.close().closeAllConnections())
  await once(site, 'listening')
  const sitePort = (site.address() as AddressInfo).port

  const [, trusted] = /TRUSTED_PROXIES=(\S+)/.exec(page('examples/nginx/README.md'))!
  const env = { HANDLER_URL: `http://127.0.0.1:${sitePort}`, TRUSTED_PROXIES: trusted! }
  const gateway = await startGateway(t, { handler: false, env })
  const [own, port] = [folder(t), await freePort()]
  chmodSync(own, 0o755)
  const conf = page('examples/nginx/site.conf')
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('127.0.0.1:3000', `127.0.0.1:${sitePort}`)
    .replace('127.0.0.1:8080', `127.0.0.1:${gateway.port}`)
  writeFileSync(join(own, 'site.conf'), conf)
  writeFileSync(join(own, 'nginx.conf'), nginxConf(own))
  const nginx = run(t, '/usr/sbin/nginx', ['-e', 'stderr', '-c', join(own, 'nginx.conf')])
  await listening(nginx, port)

  const front = `127.0.0.1:${port}`
  assert.equal(await (await fetch(`http://${front}/prices`)).text(), 'page /prices')
  const forged = { 'ce-type': 'framegate.message', 'ce-state': 'root' }
  assert.equal((await fetch(`http://${front}/ws/any`, { method: 'POST', headers: forged })).status, 426)
  assert.deepEqual(addresses, [])
  await assert.rejects(new Client(`ws://${front}/ws/any`, { origin: 'http://other.example' }).opened, /403/)

  const client = await open(`ws://${front}/ws/any`, { origin: `http://${front}`, localAddress: '127.0.0.9' })
  assert.equal(await client.ask('hi'), 'the site got hi')
  await checkPush(gateway, 'news', [client])
  await client.close()
  await until('the close event has come', () => addresses.length === 3)
  assert.deepEqual(
    addresses,
    ['open', 'message', 'close'].map((type) => [type, '127.0.0.9', front]),
  )

  const stream = await openStream(t, port, '/ws/any')
  await until('it is open', () => addresses.length === 4)
  for (const text of ['one', 'two']) {
    await control(gateway, 'POST', '/topics/news', text)
    assert.equal((await stream.next()).data, text)
  }
  const [{ id }] = (await control(gateway, 'GET', '/connections')).json.connections
  await control(gateway, 'DELETE', `/connections/${id}?code=1000&reason=`)
  assert.deepEqual([(await stream.next()).type, await stream.end()], ['close', 'whole'])
})
