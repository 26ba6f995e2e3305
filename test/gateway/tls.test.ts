// TLS: sockets, redirects, and renewed certificates.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { Gateway as Api } from '../../plugin/index.ts'
import { type Certificates, certificates } from '../support/certificates.ts'
import { type Client, open } from '../support/client.ts'
import { openStream } from '../support/event-stream.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, type GatewayOptions, project, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'
import { haveLeft } from '../support/workers.ts'

const KIB = 1024

type Secure = Gateway & {
  pki: Certificates
  tlsPort: number
  https: string
  wss: (path: string, headers?: Record<string, string>) => Promise<Client>
}

async function startSecure(
  t: TestContext,
  { env, ...options }: GatewayOptions & { env?: Record<string, string> } = {},
): Promise<Secure> {
  const pki = certificates(t)
  const { certificate, key } = pki.make('site')
  const tlsPort = await freePort()
  const gateway = await startGateway(t, {
    ...options,
    env: { TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key, TLS_PORT: String(tlsPort), ...env },
  })
  return {
    ...gateway,
    pki,
    tlsPort,
    https: `https://127.0.0.1:${tlsPort}`,
    wss: (path, headers = {}) => open(`wss://localhost:${tlsPort}${path}`, { ca: pki.authority, headers }),
  }
}

async function shake(gateway: Secure, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    port: gateway.tlsPort,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: gateway.pki.authority,
    ...options,
  })
  await once(socket, 'secureConnect')
  return socket
}

/** The name in the certificate that a new client is shown. */
async function shown(gateway: Secure): Promise<string> {
  const socket = await shake(gateway)
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

function get(gateway: Secure, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(`${gateway.https}${path}`, { ca: gateway.pki.authority, agent: false }, (response) => {
      let body = ''
      response
        .on('data', (chunk) => {
          body += chunk
        })
        .on('end', () => resolve({ status: response.statusCode!, body }))
    })
      .on('error', reject)
      .end()
  })
}

test('an event stream works over TLS', async (t) => {
  const gateway = await startSecure(t, { handler: false })
  await startProbeHandler(t, gateway.handlerSocket, (event, response) =>
    event.type === 'framegate.open'
      ? void response.writeHead(200, { 'content-type': 'text/plain', 'ws-session': '60' }).end('x'.repeat(100_000))
      : void response.writeHead(204).end(),
  )
  const tls = { ca: gateway.pki.authority, servername: 'localhost' }
  const stream = await openStream(t, gateway.tlsPort, '/ws/a', { tls })
  assert.equal((await stream.next()).data, 'x'.repeat(100_000))
  await new Api({ url: `unix:${gateway.run}/control/control.sock` }).broadcast('after it')
  assert.equal((await stream.next()).data, 'after it')
  stream.cut()
  const again = await openStream(t, gateway.tlsPort, '/ws/a', {
    tls,
    headers: { 'last-event-id': stream.lastId.replace(/\d+$/, '1') },
  })
  assert.equal((await again.next()).data, 'after it')
})

test('wss and https, of TLS 1.2 and 1.3: the handler is told https, and pages of the same host may open sockets', async (t) => {
  const gateway = await startSecure(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const client = await gateway.wss('/ws/echo', { origin: `https://localhost:${gateway.tlsPort}` })
  assert.equal(await client.ask('hello'), 'hello')
  const large = 'x'.repeat(1_000_000)
  assert.equal(await client.ask(large), large, 'many records')
  for (let i = 0; i < 2_000; i++) client.socket.send(`${i}`)
  for (let i = 0; i < 2_000; i++) assert.equal(await client.next(), `${i}`, 'many frames in a record')
  const { headers } = await handler.seen('open')
  assert.equal(headers['x-forwarded-proto'], 'https')
  assert.equal(headers['x-forwarded-host'], `localhost:${gateway.tlsPort}`)
  const page = await gateway.wss('/ws/echo', { host: 'example.com', origin: 'https://example.com' })
  await Promise.all([client.close(), page.close()])
  await assert.rejects(gateway.wss('/ws/echo', { host: 'example.com', origin: 'https://example.com:8443' }), /403/)

  const answer = await get(gateway, '/')
  assert.equal(answer.status, 200)
  assert.match(answer.body, /<html/)
  assert.equal((await fetch(gateway.url)).status, 200, 'plain HTTP goes on as long as nobody asks for a redirect')

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await shake(gateway, { minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] })
    assert.equal(socket.alpnProtocol, 'http/1.1')
    assert.match(socket.getCipher().standardName, /_(GCM|POLY1305)_/)
    socket.destroy()
  }
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await assert.rejects(shake(gateway, old), /protocol version|unsupported protocol/i)
  await assert.rejects(shake(gateway, { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }), /handshake failure/)
})

test('TLS_REDIRECT sends what comes in plain to https, but not what is secure already, nor challenges', async (t) => {
  const gateway = await startSecure(t, { env: { TLS_REDIRECT: 'on', TRUSTED_PROXIES: '127.0.0.9' } })
  const answer = await fetch(`${gateway.url}/a%20b?c=d`, { method: 'POST', redirect: 'manual' })
  assert.equal(answer.status, 308)
  assert.equal(answer.headers.get('location'), `${gateway.https}/a%20b?c=d`)
  assert.equal(
    (await fetch(`${gateway.url}/.well-known/acme-challenge/x`, { redirect: 'manual' })).status,
    404,
    'the site’s own answer',
  )

  const plain = await rawHandshake(gateway.port, '/ws/echo').response()
  assert.equal(plain.status, 308)
  assert.equal(plain.headers.location, `${gateway.https}/ws/echo`)
  const forwarded = rawHandshake(gateway.port, '/ws/echo', {
    localAddress: '127.0.0.9',
    headers: { 'X-Forwarded-Host': 'shop.example:80, inner.example', 'X-Forwarded-Proto': 'http' },
  })
  assert.equal((await forwarded.response()).headers.location, `https://shop.example:${gateway.tlsPort}/ws/echo`)
  const nowhere = rawHandshake(gateway.port, '/ws/echo', { headers: { Host: 'user@evil.example' } })
  assert.equal((await nowhere.response()).status, 400)
  const followed = await open(`${gateway.ws}/ws/echo`, { followRedirects: true, ca: gateway.pki.authority })
  assert.equal(await followed.ask('followed'), 'followed')
  const proxied = await open(`${gateway.ws}/ws/echo`, {
    localAddress: '127.0.0.9',
    headers: { 'x-forwarded-proto': 'https' },
  })
  assert.equal(await proxied.ask('through a proxy'), 'through a proxy')
  const client = await gateway.wss('/ws/echo')
  assert.equal(await client.ask('secure'), 'secure')
  await Promise.all([followed, proxied, client].map((each) => each.close()))
  assert.equal((await get(gateway, '/')).status, 200)
})

test('a renewed certificate is taken by a reload, sockets stay; one that is broken leaves the one before', async (t) => {
  const gateway = await startSecure(t, { expect: [/cannot load certificate/] })
  const { folder, make } = gateway.pki
  assert.equal(await shown(gateway), 'site')
  const client = await gateway.wss('/ws/echo')
  make('renewed')
  copyFileSync(join(folder, 'renewed.pem'), join(folder, 'site.pem'))
  copyFileSync(join(folder, 'renewed-key.pem'), join(folder, 'site-key.pem'))
  const old = gateway.workers()
  await gateway.reload()
  await until('only new workers take sockets', () => haveLeft(gateway, old))
  assert.equal(await shown(gateway), 'renewed')
  assert.equal(await client.ask('still here'), 'still here')

  writeFileSync(join(folder, 'site.pem'), 'nonsense')
  process.kill(gateway.pid, 'SIGHUP')
  await until('nginx refuses it', () => /cannot load certificate/.test(gateway.log()))
  assert.equal(await shown(gateway), 'renewed')
  assert.equal(await client.ask('and here'), 'and here')
  await client.close()
})

test('an idle socket over TLS costs at most 40 KB in nginx', async (t) => {
  const gateway = await startSecure(t, { env: { MAX_CONNECTIONS_PER_IP: 'off', WORKERS: '1' } })
  const openMany = (): Promise<Client[]> => Promise.all(Array.from({ length: 50 }, () => gateway.wss('/ws/echo')))
  const memory = (): number =>
    gateway
      .workers()
      .reduce(
        (sum, pid) =>
          sum +
          [...readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/Rss(?:Anon|Shmem):\s+(\d+)/g)].reduce(
            (bytes, [, kib]) => bytes + Number(kib) * KIB,
            0,
          ),
        0,
      )
  const all = [...(await openMany()), ...(await openMany())]
  const before = memory()
  for (let i = 0; i < 12; i++) all.push(...(await openMany()))
  const each = (memory() - before) / 600
  t.diagnostic(`${each.toFixed(0)} bytes a socket`)
  for (const { socket } of all) socket.terminate()
  assert.ok(each <= 40 * KIB, `${each} bytes a socket`)
})

test('a key of another kind than the certificate’s is refused, which nginx takes without a word', (t) => {
  const { folder } = certificates(t)
  const file = (name: string): string => join(folder, name)
  const make = (kind: string, ...options: string[]): void => {
    const subject = [
      '-subj',
      '/CN=a',
      '-days',
      '1',
      '-nodes',
      '-keyout',
      file(`${kind}-key.pem`),
      '-out',
      file(`${kind}.pem`),
    ]
    const { status, stderr } = spawnSync('openssl', ['req', '-x509', ...options, ...subject], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }
  make('rsa', '-newkey', 'rsa:2048')
  make('ec', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
  make('ed', '-newkey', 'ed25519')
  for (const [kind, option] of [
    ['rsa', ['rsa', '-traditional']],
    ['ec', ['ec']],
  ] as const) {
    const { status } = spawnSync('openssl', [
      ...option,
      '-in',
      file(`${kind}-key.pem`),
      '-out',
      file(`${kind}-old-key.pem`),
    ])
    assert.equal(status, 0)
  }
  const configure = (certificate: string, key: string): string =>
    spawnSync('lua5.1', [join(project, 'lua/configure.lua'), project, file('run')], {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        TLS_CERTIFICATE: file(`${certificate}.pem`),
        TLS_CERTIFICATE_KEY: file(`${key}-key.pem`),
      },
    }).stderr
  for (const [certificate, key] of [
    ['rsa', 'rsa'],
    ['ec', 'ec'],
    ['ed', 'ed'],
    ['rsa', 'rsa-old'],
    ['ec', 'ec-old'],
  ] as const)
    assert.equal(configure(certificate, key), '')
  for (const [certificate, key, words] of [
    ['ec', 'rsa', 'for a key of the kind EC, this one is RSA'],
    ['ec', 'rsa-old', 'for a key of the kind EC, this one is RSA'],
    ['rsa', 'ec', 'for a key of the kind RSA, this one is EC'],
    ['rsa', 'ec-old', 'for a key of the kind RSA, this one is EC'],
    ['rsa', 'ed', 'for a key of the kind RSA, this one is Ed25519'],
    ['ed', 'ec', 'for a key of the kind Ed25519, this one is EC'],
  ] as const) {
    const said = configure(certificate, key)
    assert.match(said, /^framegate: TLS_CERTIFICATE_KEY=\S+: expected the key of TLS_CERTIFICATE \(.*\)\n$/)
    assert.ok(said.includes(words), said)
  }
})

test('a certificate that cannot be used is refused at the start, in one line with its variable', (t) => {
  const { folder, make } = certificates(t)
  const { certificate, key } = make('site')
  const file = (name: string): string => join(folder, name)
  make('other')
  mkdirSync(file('folder'))
  writeFileSync(file('cut.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n')
  writeFileSync(
    file('locked.pem'),
    spawnSync('openssl', ['pkey', '-in', key, '-aes256', '-passout', 'pass:secret']).stdout,
  )
  const cases: Array<[string, string, RegExp]> = [
    [file('missing.pem'), key, /^framegate: TLS_CERTIFICATE=\S+missing\.pem: expected .*No such file or directory/],
    [file('folder'), key, /^framegate: TLS_CERTIFICATE=\S+folder: expected .*Is a directory/],
    [key, key, /^framegate: TLS_CERTIFICATE=\S+site-key\.pem: expected certificates in PEM form/],
    [file('cut.pem'), key, /^framegate: TLS_CERTIFICATE=\S+cut\.pem: expected what nginx can use/],
    [
      certificate,
      file('missing.pem'),
      /^framegate: TLS_CERTIFICATE_KEY=\S+missing\.pem: expected .*No such file or directory/,
    ],
    [certificate, certificate, /^framegate: TLS_CERTIFICATE_KEY=\S+site\.pem: expected a private key/],
    [
      certificate,
      file('locked.pem'),
      /^framegate: TLS_CERTIFICATE_KEY=\S+locked\.pem: expected a key without a passphrase/,
    ],
    [
      certificate,
      file('other-key.pem'),
      /^framegate: TLS_CERTIFICATE_KEY=\S+other-key\.pem: expected the key of TLS_CERTIFICATE/,
    ],
  ]
  for (const [TLS_CERTIFICATE, TLS_CERTIFICATE_KEY, words] of cases) {
    const { status, stderr } = spawnSync('lua5.1', [join(project, 'lua/configure.lua'), project, file('run')], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, TLS_CERTIFICATE, TLS_CERTIFICATE_KEY },
    })
    assert.equal(status, 1, stderr)
    assert.match(stderr, words)
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
  }
})
