// The log of sockets, and that no log holds what is secret.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmdirSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { page, rows, section } from '../docs/markdown.ts'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, type GatewayOptions, KILLED, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { type ProbeHandler, type SeenEvent, startProbeHandler } from '../support/probe-handler.ts'
import { frame, rawHandshake, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

type Line = Record<string, any> & { event: string }

/** The lines that are complete: the last one may be read while it is written. */
function linesOf(file: string): Line[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
    : []
}

const byPath = (lines: Line[], path: string): Line[] => lines.filter((line) => line.path === path)

test('sockets that open, close and are refused: a line each, with who and how', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: (run) => ({ SOCKET_LOG: `${run}/sockets.log`, TRUSTED_PROXIES: '127.0.0.0/8', MAX_MESSAGE_BYTES: '1k' }),
  })
  const file = `${gateway.run}/sockets.log`
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open' && event.url.startsWith('/ws/no')) return void response.writeHead(403).end('no')
    if (event.type === 'framegate.open' && event.url === '/ws/shut')
      return void response.writeHead(403, { 'ws-close': '4401 sign%20in' }).end()
    if (event.type === 'framegate.open') return void response.writeHead(204, { 'ws-user': 'J%C3%BCrgen' }).end()
    if (event.type === 'framegate.close') return void response.writeHead(204).end()
    response.writeHead(200, { 'content-type': 'text/plain' }).end('four')
  })
  const headers = { 'x-forwarded-for': '203.0.113.7' }
  const began = performance.now()
  const client = await open(`${gateway.ws}/ws/a%20b/?token=s`, { headers })
  await client.ask('12')
  await client.ask('345')
  await client.close(4001, 'tschüß')
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const traced = { ...headers, traceparent: `00-${trace}-b7ad6b7169203331-00` }
  await assert.rejects(open(`${gateway.ws}/ws/no?token=s`, { headers: traced }))
  const shut = await open(`${gateway.ws}/ws/shut`, { headers })
  assert.deepEqual(await shut.closed, { code: 4401, reason: 'sign in' })
  const raw = await rawSocket(gateway.port, '/ws/big')
  raw.write(frame(1, 'x'.repeat(1025)))
  await raw.closeFrame()
  raw.socket.destroy()
  assert.equal((await rawHandshake(gateway.port, '/ws/\u00fc"').response()).status, 400)

  const lines = await until('seven lines', () => {
    const all = linesOf(file)
    return all.length === 7 && all
  })
  const took = performance.now() - began
  const id = String(handler.events[0]!.headers['ce-connectionid'])
  const [{ time: opened, ...first }, { time: closed, duration, ...last }] = byPath(lines, '/ws/a%20b/') as [Line, Line]
  const who = { id, address: '203.0.113.7', user: 'Jürgen', path: '/ws/a%20b/' }
  assert.deepEqual(first, { event: 'open', ...who })
  assert.deepEqual(last, {
    event: 'close',
    ...who,
    code: 4001,
    reason: 'tschüß',
    cause: 'client',
    frames: { in: 2, out: 2 },
    bytes: { in: 5, out: 8 },
  })
  assert.ok(duration > 0 && duration * 1000 <= took, `${duration} s of ${took} ms`)
  for (const time of [opened, closed]) assert.ok(Math.abs(Date.parse(time) - Date.now()) < took + 1000, time)
  assert.ok(Date.parse(closed) >= Date.parse(opened))
  assert.deepEqual(
    byPath(lines, '/ws/no').map(({ time, ...line }) => line),
    [{ event: 'refuse', address: '203.0.113.7', path: '/ws/no', status: 403, cause: 'handler', trace }],
  )
  assert.deepEqual(
    byPath(lines, '/ws/shut').map(({ event, status, code, reason, cause }) => [event, status, code, reason, cause]),
    [['refuse', 101, 4401, 'sign in', 'handler']],
  )
  assert.deepEqual(
    byPath(lines, '/ws/big').map(({ event, cause, code, address }) => [event, cause, code, address]),
    [
      ['open', undefined, undefined, '127.0.0.1'],
      ['close', 'too_large', 1009, '127.0.0.1'],
    ],
  )

  const members = rows(section(page('docs/operating.md'), '## Logs')).flatMap(([names]) =>
    names!.replaceAll('`', '').split(', '),
  )
  assert.ok(members.includes('away'), 'test/session/shown.test.ts has its line')
  members.splice(members.indexOf('away'), 1)
  assert.deepEqual([...new Set(lines.flatMap((line) => Object.keys(line)))].sort(), members.sort())
  assert.deepEqual(
    byPath(lines, '/ws/%C3%BC"').map(({ event, status }) => [event, status]),
    [['refuse', 400]],
  )

  renameSync(file, `${file}.1`)
  await (await open(`${gateway.ws}/ws/after`, { headers: traced })).close()
  await until('the new file has the new lines', () => byPath(linesOf(file), '/ws/after').length === 2)
  assert.ok(linesOf(file).every((line) => line.trace === trace))
  assert.equal(linesOf(`${file}.1`).length, 7)
})

test('ends that the gateway makes have their line too: a killed worker, a stop', async (t) => {
  const gateway = await startGateway(t, {
    env: (run) => ({ SOCKET_LOG: `${run}/sockets.log`, WORKERS: '1' }),
    expect: [KILLED],
  })
  const ends = (): Array<Array<string | number>> =>
    linesOf(`${gateway.run}/sockets.log`)
      .filter(({ event }) => event === 'close')
      .map(({ cause, code }) => [cause, code])
  await open(`${gateway.ws}/ws/echo`)
  process.kill(gateway.workers()[0]!, 'SIGKILL')
  await until('the end is logged', () => ends().length === 1, 30_000) // a worker looks for killed ones every 10 s
  await open(`${gateway.ws}/ws/echo`)
  await gateway.quit()
  assert.deepEqual(ends(), [
    ['worker_killed', 1006],
    ['stop', 1001],
  ])
})

test('stdout: whoever does not read it holds up nobody', async (t) => {
  const gateway = await startGateway(t, { env: { SOCKET_LOG: 'stdout', WORKERS: '1', MAX_CONNECTIONS_PER_IP: 'off' } })
  await (await open(`${gateway.ws}/ws/echo`)).close()
  await until('both lines came', () => gateway.output().split('\n').length === 3)
  assert.deepEqual(
    gateway
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event),
    ['open', 'close'],
  )
  gateway.deafen()
  const path = `/ws/echo/../${'x'.repeat(1000)}`
  await until('it is full', async () => {
    await Promise.all(Array.from({ length: 50 }, () => rawHandshake(gateway.port, path).response()))
    return (await samples(gateway)).log_lines_lost_total! > 0
  })
  assert.equal(await (await open(`${gateway.ws}/ws/echo`)).ask('hello'), 'hello')
})

test('a log that cannot be written holds up nobody, and that is logged once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-log-'))
  const gateway = await startGateway(t, { env: { SOCKET_LOG: `${folder}/sockets.log`, WORKERS: '1' } })
  rmdirSync(folder)
  for (let i = 0; i < 3; i++) await (await open(`${gateway.ws}/ws/echo`)).close()
  await until('the lines are counted', async () => (await samples(gateway)).log_lines_lost_total === 6)
  const line = /SOCKET_LOG=.*sockets.log: a line could not be written: No such file or directory/g
  const lines = await until('it is logged', () => gateway.log().match(line))
  assert.equal(lines.length, 1)
})

test('the traceparent of the handshake is on every event', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const client = await open(`${gateway.ws}/ws/echo`, { headers: { traceparent } })
  await client.ask('hello')
  await client.close()
  await handler.seen('close')
  assert.deepEqual(
    handler.events.map(({ type, headers }) => [type, headers.traceparent]),
    ['open', 'message', 'close'].map((type) => [`framegate.${type}`, traceparent]),
  )
})

const SECRET = 'S3CR3T'

/** A handler that does everything wrong that its path names. */
function wrong(
  event: SeenEvent,
  response: Parameters<Parameters<ProbeHandler['answer']>[0]>[1],
  incoming: Parameters<Parameters<ProbeHandler['answer']>[0]>[2],
): void {
  const { pathname } = new URL(event.url, 'http://gateway')
  const headers = { 'ws-state': `state-${SECRET}`, 'set-cookie': `session=${SECRET}`, 'content-type': 'text/plain' }
  if (event.type === 'framegate.open') {
    if (pathname === '/ws/no') return void response.writeHead(403, headers).end(SECRET)
    if (pathname === '/ws/protocol')
      return void response.writeHead(204, { ...headers, 'sec-websocket-protocol': `not-offered-${SECRET}` }).end()
    if (pathname === '/ws/open-lost') return void incoming.socket.destroy()
    if (pathname === '/ws/open-slow') return
    return void response.writeHead(204, headers).end()
  }
  if (event.type === 'framegate.close') return void response.writeHead(204, { 'ws-close': `99 ${SECRET}` }).end()
  if (pathname === '/ws/lost') return void incoming.socket.destroy()
  if (pathname === '/ws/slow') return
  if (pathname === '/ws/effects')
    return void response
      .writeHead(200, { 'content-type': 'application/vnd.framegate.effects+json' })
      .end(`{"effects":[{"close":{"code":"${SECRET}"}}]}`)
  if (pathname === '/ws/json')
    return void response
      .writeHead(200, { 'content-type': 'application/vnd.framegate.effects+json' })
      .end(`{"effects":${SECRET}`)
  if (pathname === '/ws/malformed') return void incoming.socket.end(`HTTP/1.1 banana ${SECRET}\r\n\r\n`)
  if (pathname === '/ws/wrong') return void response.writeHead(500, headers).end(`error: ${SECRET}`)
  response.writeHead(200, headers).end(event.body)
}

const ask = (port: number, path: string, headers: Record<string, string>, body = ''): Promise<number> =>
  new Promise((resolve) => {
    const outgoing = request(
      { port, host: '127.0.0.1', path, method: body ? 'POST' : 'GET', headers, agent: false },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode!))
      },
    )
    outgoing.on('error', () => resolve(0)).end(body)
  })

async function walk(gateway: Gateway, handler: ProbeHandler, controlPort: number, token: string): Promise<void> {
  const headers = { cookie: `session=${SECRET}`, authorization: `Bearer ${SECRET}`, origin: '' }
  const query = `?access_token=${SECRET}`
  const connect = (path: string): Promise<Client> =>
    open(`${gateway.ws}${path}${query}`, { headers: { cookie: headers.cookie, authorization: headers.authorization } })
  const refused = ['/ws/no', '/ws/protocol', '/ws/open-lost', '/ws/open-slow'].map((path) =>
    assert.rejects(connect(path)),
  )
  for (const path of ['/ws/echo', '/ws/lost', '/ws/slow', '/ws/effects', '/ws/json', '/ws/malformed', '/ws/wrong']) {
    const client = await connect(path)
    await client.ask(`{"password":"${SECRET}"}`)
    await client.close(1000)
  }
  await Promise.all(refused)
  const handshakes: Array<[string, Record<string, string>]> = [
    ['/ws/echo', { Upgrade: '' }],
    ['/ws/echo', { Origin: 'https://elsewhere.example' }],
    ['/ws/echo', { 'Sec-WebSocket-Key': SECRET }],
    ['/ws//echo', {}],
    ['/ws/echo', { 'Bad Header': SECRET }],
    ['/ws/echo', { Host: '' }],
    [`/ws/${'x'.repeat(9000)}`, {}],
    ['/ws/echo', { Big: 'x'.repeat(9000) }],
  ]
  for (const [path, more] of handshakes) {
    const raw = rawHandshake(gateway.port, path + query, {
      headers: { Cookie: headers.cookie, Authorization: headers.authorization, ...more },
    })
    await raw.response().catch(() => {})
    raw.socket.destroy()
  }
  const broken = await rawSocket(gateway.port, `/ws/echo${query}`)
  broken.write(frame(1, SECRET, { masked: false }))
  await broken.closeFrame()
  broken.socket.destroy()
  for (const path of ['/', '/page'])
    assert.equal(await ask(gateway.port, path + query, { cookie: headers.cookie }, SECRET), 502)
  for (const authorization of [`Bearer ${SECRET}`, `Bearer ${token}`]) {
    for (const path of ['/connections/gone', '/users/ann', '/nothing', '/batch', '/topics/%ff'])
      await ask(controlPort, path, { authorization }, `{"secret":"${SECRET}`)
  }
  await handler.stop()
  await assert.rejects(connect('/ws/echo'))
}

for (const level of ['error', 'warn', 'info']) {
  test(`no log at level ${level} has anything secret`, async (t) => {
    const controlPort = await freePort()
    const token = `control-token-${SECRET}`
    const gateway = await startGateway(t, {
      handler: false,
      logLevel: level,
      env: (run) => ({
        SOCKET_LOG: `${run}/sockets.log`,
        HANDLER_TIMEOUT: '1500ms',
        HANDLER_WAIT: '100ms',
        CONTROL_PORT: String(controlPort),
        CONTROL_TOKEN: token,
        MAX_CONNECTIONS_PER_IP: '20',
        SITE_URL: 'http://127.0.0.1:9',
        WORKERS: '1',
      }),
      expect: [/cannot be applied/, /not understood/, /no answer/],
    } satisfies GatewayOptions)
    const handler = await startProbeHandler(t, gateway.handlerSocket, wrong)
    await walk(gateway, handler, controlPort, token)
    const log = gateway.log()
    const sockets = readFileSync(`${gateway.run}/sockets.log`, 'utf8')
    assert.match(log, /the site gave no answer to POST \/page: 502 \([^)]*\): it cannot be reached/)
    assert.match(
      log,
      /\[gateway\] [\w-]{32}: the answer to open cannot be applied/,
      'lines carry the id of the connection',
    )
    assert.match(sockets, /"path":"\/ws\/lost"/)
    for (const text of [log, sockets])
      assert.deepEqual(
        text.split('\n').filter((line) => line.includes(SECRET)),
        [],
      )
  })
}

test('lines that strangers can cause are few and short, whatever they send', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1' } })
  const origins = Array.from({ length: 300 }, (_, i) => `https://${i}.example/${'x'.repeat(3000)}`)
  for (const Origin of origins) {
    const raw = rawHandshake(gateway.port, '/ws/echo', { headers: { Origin } })
    assert.equal((await raw.response()).status, 403)
    raw.socket.destroy()
  }
  const { mesh_port: port } = JSON.parse(readFileSync(`${gateway.run}/settings.json`, 'utf8'))
  for (let i = 0; i < 300; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: mesh\r\n\r\nwrong-secret someone 99 0\n')
    await new Promise((resolve) => socket.resume().on('close', resolve))
  }
  const lines = gateway.log().split('\n').filter(Boolean)
  assert.ok(lines.length <= 25, `${lines.length} lines`)
  assert.ok(lines.some((line) => /the origin https:\/\/0\.example/.test(line)))
  assert.equal(lines.filter((line) => line.includes('does not know the secret')).length, 1)
  for (const line of lines) assert.ok(line.length < 1000, `${line.length} characters`)
})

test('text of strangers stays in its line, and has no control characters', async (t) => {
  const gateway = await startGateway(t, { handler: false, expect: [/cannot be applied/] })
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.message') return void response.writeHead(204).end()
    response
      .writeHead(200, { 'content-type': 'application/vnd.framegate.effects+json' })
      .end('{"effects":[{"a\\n[error] forged \\u001b[31m\\u009b31m":1}]}')
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  await client.ask('hello')
  const raw = rawHandshake(gateway.port, '/ws/echo', { headers: { Origin: 'https://a\u001b[31m\u009b.example' } })
  await raw.response()
  raw.socket.destroy()
  await until('both lines are there', () => /forged/.test(gateway.log()) && /is not allowed/.test(gateway.log()))
  assert.match(gateway.log(), /is unknown: a\\n\[error\] forged \\x1B\[31m\\xC2\\x9B31m/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  assert.doesNotMatch(gateway.log(), /[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  client.socket.terminate()
})
