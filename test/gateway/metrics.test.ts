// Every counter is exact in scenes whose numbers are known, over reloads and killed workers.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import { type Gateway, KILLED, project, startGateway } from '../support/gateway.ts'
import { counted, metricsText, type Samples, samples, samplesOf } from '../support/metrics.ts'
import { type ProbeHandler, type SeenEvent, startProbeHandler } from '../support/probe-handler.ts'
import { frame, rawHandshake, rawSocket } from '../support/raw-socket.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { haveLeft } from '../support/workers.ts'

const TEXT = { 'content-type': 'text/plain' }

/** Answers as the path of the socket, or its message, says. */
async function scripted(t: TestContext, gateway: Gateway): Promise<ProbeHandler> {
  const repeated = new Set<string>()
  const once = (event: SeenEvent): boolean => !repeated.has(event.id) && Boolean(repeated.add(event.id))
  return startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.open') {
      if (event.url === '/ws/refused') return void response.writeHead(403, TEXT).end('no')
      if (event.url === '/ws/goodbye') return void response.writeHead(403, { 'ws-close': '4403' }).end()
      if (event.url === '/ws/broken') return void request.socket.destroy()
      return void response.writeHead(204, { 'ws-subscribe': 'news', 'ws-user': 'ann' }).end()
    }
    if (event.type === 'framegate.close') return void response.writeHead(event.url === '/ws/sorry' ? 500 : 204).end()
    const body = String(event.body)
    if (body === 'wrong') return void response.writeHead(422, TEXT).end('wrong!')
    if (body === 'lost') return void request.socket.destroy()
    if (body === 'slow') return // HANDLER_TIMEOUT ends it
    if (body === 'again' && once(event)) return void response.writeHead(503, { 'retry-after': '0' }).end()
    if (body === 'close') return void response.writeHead(204, { 'ws-close': '4002' }).end()
    if (body === 'nonsense') return void response.writeHead(204, { 'ws-close': '99' }).end()
    if (body === 'publish') {
      const effects = [{ publish: { topic: 'news', text: 'published' } }]
      return void response
        .writeHead(200, { 'content-type': 'application/vnd.framegate.effects+json' })
        .end(JSON.stringify({ effects }))
    }
    response.writeHead(200, TEXT).end(body.toUpperCase())
  })
}

/** Sends messages and adds up what passes. */
class Scene {
  readonly passed = { frames_received_total: 0, frames_sent_total: 0, received_bytes_total: 0, sent_bytes_total: 0 }

  sends(message: string | Buffer): void {
    this.passed.frames_received_total += 1
    this.passed.received_bytes_total += Buffer.byteLength(message)
  }

  async gets(client: Client): Promise<string> {
    const message = await client.next()
    this.passed.frames_sent_total += 1
    this.passed.sent_bytes_total += Buffer.byteLength(message)
    return String(message)
  }

  async ask(client: Client, message: string): Promise<string> {
    this.sends(message)
    client.socket.send(message)
    return this.gets(client)
  }
}

function promtool(text: string): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  })
  return error ? String(error) : status === 0 ? `${stdout}${stderr}` : `status ${status}: ${stdout}${stderr}`
}

const idOf = (handler: ProbeHandler, path: string): string =>
  String(handler.events.find(({ url, type }) => url === path && type === 'framegate.open')!.headers['ce-connectionid'])

async function refusals(gateway: Gateway): Promise<void> {
  const status = async (path: string, headers: Record<string, string> = {}, localAddress?: string): Promise<number> => {
    const raw = rawHandshake(gateway.port, path, { headers, ...(localAddress && { localAddress }) })
    const answer = await raw.response()
    raw.socket.destroy()
    return answer.status
  }
  assert.equal(await status('/ws/a', { Upgrade: '' }), 426)
  assert.equal(await status('/ws/a', { Origin: 'https://elsewhere.example' }), 403)
  assert.equal(await status('/ws/a', { 'Sec-WebSocket-Key': 'short' }), 400)
  assert.equal(await status('/ws/refused'), 403)
  assert.equal(await status('/ws/goodbye'), 101)
  assert.equal(await status('/ws/broken'), 502)
  const guests = [await rawSocket(gateway.port, '/ws/guest', { localAddress: '127.0.0.2' })]
  assert.equal(await status('/ws/guest', {}, '127.0.0.2'), 429)
  guests[0]!.socket.destroy()
  await until('the guest is gone', async () => (await samples(gateway)).sockets === 0)
}

const REFUSED: Samples = {
  'sockets_refused_total{cause="handshake"}': 2,
  'sockets_refused_total{cause="origin"}': 1,
  'sockets_refused_total{cause="handler"}': 2,
  'sockets_refused_total{cause="error"}': 1,
  'sockets_refused_total{cause="address"}': 1,
}

// 11 sockets were opened, and the open event of one more was lost, whose close event is owed; one message was sent twice.
const EVENTS: Samples = {
  'events_total{type="open",outcome="answered"}': 11,
  'events_total{type="open",outcome="error_status"}': 2,
  'events_total{type="open",outcome="lost"}': 1,
  'events_total{type="message",outcome="answered"}': 7,
  'events_total{type="message",outcome="error_status"}': 1,
  'events_total{type="message",outcome="lost"}': 1,
  'events_total{type="message",outcome="timeout"}': 1,
  'events_total{type="close",outcome="answered"}': 10,
  'events_total{type="close",outcome="error_status"}': 1,
  'event_duration_seconds_count{type="open"}': 14,
  'event_duration_seconds_count{type="message"}': 10,
  'event_duration_seconds_count{type="close"}': 11,
  'event_retries_total{reason="closing"}': 1,
  request_events_count: 36,
  request_events_sum: 36,
}

const PUSHES: Samples = {
  'pushes_total{kind="connection"}': 2,
  'pushes_total{kind="topic"}': 3,
  'pushes_total{kind="user"}': 1,
  'pushes_total{kind="broadcast"}': 1,
  'pushes_delivered_total{kind="connection"}': 1,
  'pushes_delivered_total{kind="topic"}': 4,
  'pushes_delivered_total{kind="user"}': 2,
  'pushes_delivered_total{kind="broadcast"}': 2,
}

async function messages(scene: Scene, client: Client): Promise<void> {
  assert.equal(await scene.ask(client, 'hello'), 'HELLO')
  assert.equal(await scene.ask(client, 'wrong'), 'wrong!')
  assert.match(await scene.ask(client, 'lost'), /"statusCode":502/)
  assert.match(await scene.ask(client, 'slow'), /"statusCode":504/)
  assert.equal(await scene.ask(client, 'again'), 'AGAIN')
  assert.match(await scene.ask(client, 'nonsense'), /"statusCode":502/)
  const long = 'x'.repeat(70_000)
  assert.equal(await scene.ask(client, long), long.toUpperCase())
}

test('a scene with known numbers: every counter is exact', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_TIMEOUT: '2s', MAX_MESSAGE_BYTES: '100k', MAX_CONNECTIONS_PER_IP: 'off' },
    locations:
      'location = /ws/guest { include socket.conf; limit_conn sockets_per_address 1; }\nlocation = /ws/limited { set $ws_rate 0.01; include socket.conf; }',
    expect: [/cannot be applied/],
  })
  const handler = await scripted(t, gateway)
  const scene = new Scene()
  await refusals(gateway)
  const ann = await open(`${gateway.ws}/ws/ann`)
  await messages(scene, ann)
  const limited = await open(`${gateway.ws}/ws/limited`)
  await scene.ask(limited, 'one')
  assert.match(await scene.ask(limited, 'two'), /"statusCode":429/)

  assert.deepEqual((await control(gateway, 'POST', `/connections/${idOf(handler, '/ws/ann')}`, 'only')).json, {
    delivered: 1,
    dropped: 0,
  })
  assert.equal((await control(gateway, 'POST', '/connections/gone', 'nobody')).status, 410)
  for (const path of ['/topics/news', '/topics/empty', '/users/ann', '/broadcast'])
    await control(gateway, 'POST', path, 'all of you')
  for (const _ of ['only', 'topic', 'user', 'broadcast']) await scene.gets(ann)
  for (const _ of ['topic', 'user', 'broadcast']) await scene.gets(limited)
  scene.sends('publish')
  ann.socket.send('publish')
  for (const client of [ann, limited]) assert.equal(await scene.gets(client), 'published')

  await ends(gateway, handler, scene)
  assert.equal((await limited.close(1000)).code, 1000)
  await until('all but one are gone', async () => (await samples(gateway)).sockets === 1)
  await until(
    'the close events were answered',
    async () => (await samples(gateway))['event_duration_seconds_count{type="close"}'] === 11,
  )

  const text = await metricsText(gateway)
  assert.equal(promtool(text), '', 'promtool finds nothing')
  assert.deepEqual(counted(samplesOf(text)), {
    ...REFUSED,
    ...scene.passed,
    sockets_opened_total: 11,
    'sockets_closed_total{cause="client",code="1000"}': 1,
    'sockets_closed_total{cause="client",code="4xxx"}': 1,
    'sockets_closed_total{cause="client",code="1005"}': 1,
    'sockets_closed_total{cause="handler",code="4xxx"}': 1,
    'sockets_closed_total{cause="control",code="3xxx"}': 1,
    'sockets_closed_total{cause="lost",code="1006"}': 2,
    'sockets_closed_total{cause="protocol",code="1002"}': 1,
    'sockets_closed_total{cause="protocol",code="1007"}': 1,
    'sockets_closed_total{cause="too_large",code="1009"}': 1,
    frames_rate_limited_total: 1,
    answers_rejected_total: 1,
    ...EVENTS,
    ...PUSHES,
  })
  ann.socket.terminate()
})

/** Sockets that end each in its own way; their close events are answered. */
async function ends(gateway: Gateway, handler: ProbeHandler, scene: Scene): Promise<void> {
  await (await open(`${gateway.ws}/ws/b`)).close(4001, 'bye')
  await (await open(`${gateway.ws}/ws/sorry`)).close()
  const closedByHandler = await open(`${gateway.ws}/ws/c`)
  scene.sends('close')
  closedByHandler.socket.send('close')
  assert.equal((await closedByHandler.closed).code, 4002)
  const closedByControl = await open(`${gateway.ws}/ws/d`)
  assert.equal((await control(gateway, 'DELETE', `/connections/${idOf(handler, '/ws/d')}?code=3001`)).status, 204)
  assert.equal((await closedByControl.closed).code, 3001)
  ;(await open(`${gateway.ws}/ws/e`)).socket.terminate()
  for (const [bytes, code] of [
    [frame(1, 'x', { masked: false }), 1002],
    [frame(1, Buffer.from([255])), 1007],
    [frame(1, 'x'.repeat(102_401)), 1009],
  ] as const) {
    const raw = await rawSocket(gateway.port, '/ws/f')
    raw.write(bytes)
    assert.equal((await raw.closeFrame()).code, code)
    raw.socket.destroy()
  }
}

const dead = (client: Client): boolean => client.socket.readyState === client.socket.CLOSED

test('nothing is lost or counted twice over reloads and killed workers', async (t) => {
  const gateway = await startGateway(t, {
    env: { WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off' },
    expect: [KILLED],
  })
  const all: Client[] = []
  let sent = 0
  const openOnAll = async (): Promise<void> => {
    await until('every worker that listens holds sockets', async () => {
      all.push(...(await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/echo`)))))
      return (await control(gateway, 'GET', '/status')).json.workers.every(
        (worker: { connections: number }) => worker.connections > 0,
      )
    })
  }
  const askAll = async (): Promise<void> => {
    const living = all.filter((client) => !dead(client))
    await Promise.all(living.map((client) => client.ask('hello')))
    sent += living.length
  }
  const check = async (killed: number, workers: number): Promise<void> => {
    const gone = all.filter(dead).length
    const seen = await until(
      'close events are answered',
      async () => {
        const now = await samples(gateway)
        return now['event_duration_seconds_count{type="close"}'] === gone && now
      },
      30_000,
    ) // a worker looks for killed ones every 10 s
    const events = all.length + sent + gone
    assert.deepEqual(counted(seen), {
      sockets_opened_total: all.length,
      ...(gone > 0 && {
        'sockets_closed_total{cause="worker_killed",code="1006"}': gone,
        workers_killed_total: killed,
      }),
      frames_received_total: sent,
      frames_sent_total: sent,
      received_bytes_total: sent * 5,
      sent_bytes_total: sent * 5,
      'events_total{type="open",outcome="answered"}': all.length,
      'events_total{type="message",outcome="answered"}': sent,
      ...(gone > 0 && {
        'events_total{type="close",outcome="answered"}': gone,
        'event_duration_seconds_count{type="close"}': gone,
      }),
      'event_duration_seconds_count{type="open"}': all.length,
      'event_duration_seconds_count{type="message"}': sent,
      request_events_sum: events,
      request_events_count: seen.request_events_count,
    })
    assert.equal(seen.sockets, all.length - gone)
    assert.equal(seen['workers{state="serving"}']! + seen['workers{state="leaving"}']!, workers)
  }
  await openOnAll()
  await askAll()
  await check(0, 2)

  const old = gateway.workers()
  await gateway.reload()
  await until('new workers serve', async () => (await samples(gateway))['workers{state="leaving"}'] === 2)
  await openOnAll()
  await askAll()
  await check(0, 4)
  assert.equal((await samples(gateway)).configuration, 2)

  const victims = [old[0]!, gateway.workers().find((pid) => !old.includes(pid))!]
  for (const victim of victims) process.kill(victim, 'SIGKILL')
  await until(
    'the sockets of both are gone, and one has a successor',
    async () =>
      gateway.workers().length === 3 && !gateway.workers().some((pid) => victims.includes(pid)) && all.some(dead),
  )
  await until('the gateway has noticed', async () => (await samples(gateway)).workers_killed_total === 2, 30_000)
  await until(
    'the clients have noticed',
    async () => (await samples(gateway)).sockets === all.filter((client) => !dead(client)).length,
  )
  await openOnAll()
  await askAll()
  await check(2, 3)
  for (const { socket } of all) socket.terminate()
})

test('times that run out, readers that are too slow, a handler that is away, and sockets closed after a reload', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: {
      WORKERS: '1',
      PING_INTERVAL: '1s',
      IDLE_TIMEOUT: '4s',
      MESSAGE_TIMEOUT: '500ms',
      OUTBOX_BYTES: '64k',
      HANDLER_WAIT: '1s',
      DRAIN_SECONDS: '100ms',
    },
    locations: 'location = /ws/strict { set $ws_overflow close; include socket.conf; }',
  })
  const handler = await scripted(t, gateway)
  const isUp = async (): Promise<boolean | null> => (await control(gateway, 'GET', '/status')).json.handler.is_up
  assert.equal(await isUp(), null)
  const idle = await rawSocket(gateway.port, '/ws/idle')
  const slow = await rawSocket(gateway.port, '/ws/slow')
  slow.write(frame(1, 'half of it').subarray(0, 8))
  assert.equal((await slow.closeFrame()).code, 1008)
  assert.equal((await idle.closeFrame()).code, 1001)
  const client = await open(`${gateway.ws}/ws/client`)
  const strict = await open(`${gateway.ws}/ws/strict`)
  const counts = await pushUntilFull(gateway, strict, idOf(handler, '/ws/strict'))

  await handler.stop()
  client.socket.send('hello')
  assert.match(String(await client.next()), /"statusCode":503/)
  await assert.rejects(open(`${gateway.ws}/ws/client`), /503/)
  assert.equal(await isUp(), false)
  await handler.start()
  assert.equal(await client.ask('hello'), 'HELLO')
  assert.equal(await isUp(), true)
  await gateway.reload()
  assert.equal((await client.closed).code, 1012)
  const seen = await until('all are gone', async () => {
    const now = await samples(gateway)
    return now['event_duration_seconds_count{type="close"}'] === 4 && now['workers{state="leaving"}'] === 0 && now
  })
  assert.deepEqual(
    Object.fromEntries(Object.entries(counted(seen)).filter(([name]) => /^(sockets|pushes)_|unavailable/.test(name))),
    {
      sockets_opened_total: 4,
      'sockets_refused_total{cause="unavailable"}': 1,
      'sockets_closed_total{cause="slow_message",code="1008"}': 1,
      'sockets_closed_total{cause="idle",code="1006"}': 1,
      'sockets_closed_total{cause="overflow",code="1013"}': 1,
      'sockets_closed_total{cause="reload",code="1012"}': 1,
      'events_total{type="message",outcome="unavailable"}': 1,
      'events_total{type="open",outcome="unavailable"}': 1,
      'event_retries_total{reason="unavailable"}': seen['event_retries_total{reason="unavailable"}'],
      'pushes_total{kind="connection"}': counts.delivered + counts.dropped,
      'pushes_delivered_total{kind="connection"}': counts.delivered,
      'pushes_dropped_total{kind="connection"}': counts.dropped,
    },
  )
  assert.ok(seen['event_retries_total{reason="unavailable"}']! >= 2)
  assert.equal(seen.outbox_bytes, 0)
})

/** Pushes to one who does not read until the outbox has no room; that closes the socket. */
async function pushUntilFull(
  gateway: Gateway,
  client: Client,
  id: string,
): Promise<{ delivered: number; dropped: number }> {
  client.socket.pause()
  let delivered = 0
  while ((await control(gateway, 'POST', `/connections/${id}`, 'x'.repeat(60_000))).status === 200) delivered += 1
  client.socket.terminate()
  return { delivered, dropped: 1 }
}

test('a reload that brings other counters keeps those of the same name, also what old workers go on counting', async (t) => {
  const gateway = await startGateway(t)
  const old = gateway.workers()
  const before = await open(`${gateway.ws}/ws/echo`)
  await before.ask('hello')
  rmSync(`${gateway.run}/lua`)
  cpSync(join(project, 'lua'), `${gateway.run}/lua`, { recursive: true })
  const file = `${gateway.run}/lua/framegate/telemetry/definitions.lua`
  const first = '  { "framegate_sockets_opened_total"'
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(first, `  { "framegate_new_total", "counter", "New." },\n${first}`),
  )
  await gateway.reload()
  await until('only new workers answer', () => haveLeft(gateway, old))
  const client = await open(`${gateway.ws}/ws/echo`)
  await Promise.all([before.ask('hello'), client.ask('hello')])
  const now = await samples(gateway)
  assert.deepEqual(
    [now.new_total, now.sockets, now.sockets_opened_total, now.frames_received_total, now.sent_bytes_total],
    [0, 2, 2, 3, 15],
  )
  for (const { socket } of [before, client]) socket.terminate()
})
