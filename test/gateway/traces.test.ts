/** OTEL_EXPORTER_OTLP_ENDPOINT: the spans of events and pushes, as a collector gets them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BatchItem, Gateway } from '../../plugin/index.ts'
import { startApp } from '../support/app.ts'
import { open } from '../support/client.ts'
import { type Span, startCollector } from '../support/collector.ts'
import { freePort } from '../support/free-port.ts'
import { project, startGateway } from '../support/gateway.ts'
import { type Samples, samples } from '../support/metrics.ts'
import { startPhp } from '../support/php.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { ask, controlSocket } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const SAMPLED = `00-${TRACE}-${PARENT}-01`
const TOKEN = '0123456789abcdef'
const UNSAMPLED = `00-${TRACE}-${PARENT}-00`

const envOf = (collector: { port: number }): Record<string, string> => ({
  WORKERS: '1',
  MAX_CONNECTIONS_PER_IP: 'off',
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
})

/** The traceparent with which a span went to the handler. */
const traceparentOf = ({ traceId, spanId }: Span): string => `00-${traceId}-${spanId}-01`

const named = (spans: Span[], name: string): Span[] => spans.filter((span) => span.name === name)

test('one span an event: open belongs to the trace of the handshake, the others are linked to it', async (t) => {
  const collector = await startCollector(t)
  const endpoint = `http://127.0.0.1:${collector.port}/otlp/`
  const gateway = await startGateway(t, {
    handler: false,
    env: {
      ...envOf(collector),
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=s%2C1, x-tenant=a',
      OTEL_SERVICE_NAME: 'chat "gateway"',
      NODE_NAME: 'node-1',
    },
  })
  const names: string[][] = []
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    names.push(request.rawHeaders.filter((name) => name === 'traceparent'))
    if (event.type === 'framegate.open') response.setHeader('ws-alarm', '0.01')
    return String(event.body) === 'no'
      ? void response.writeHead(404, { 'content-type': 'text/plain' }).end('not here')
      : echo(event, response, request)
  })
  const client = await open(`${gateway.ws}/ws/a%20b?token=secret`, { headers: { traceparent: SAMPLED, cookie: 'a=b' } })
  assert.equal(await client.ask('hello'), 'hello')
  assert.equal(await client.ask('no'), 'not here')
  await handler.seen('alarm')
  await client.close()
  const spans = await collector.received(5)

  assert.deepEqual(spans.map(traceparentOf).sort(), handler.events.map(({ headers }) => headers.traceparent).sort())
  assert.deepEqual(names, Array(5).fill(['traceparent']))
  assert.equal(handler.events[1]!.headers.cookie, 'a=b')
  const [opened] = named(spans, 'framegate.open')
  assert.deepEqual([opened!.traceId, opened!.parentSpanId, opened!.links], [TRACE, PARENT, undefined])
  for (const span of spans.filter((span) => span !== opened))
    assert.deepEqual([span.parentSpanId, span.links], [undefined, [{ traceId: TRACE, spanId: PARENT }]])
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 5)

  const [first, second] = named(spans, 'framegate.message')
  const event = handler.events.find(({ type }) => type === 'framegate.message')!
  const took = BigInt(first!.endTimeUnixNano) - BigInt(first!.startTimeUnixNano)
  assert.ok(took > 0n && took < 60_000_000_000n, `${took} ns`)
  assert.ok(Math.abs(Number(first!.endTimeUnixNano) / 1e6 - Date.now()) < 60_000, first!.endTimeUnixNano)
  assert.deepEqual([first!.kind, first!.status, second!.status], [3, undefined, { code: 2, message: '' }])
  assert.deepEqual(first!.attributes, {
    'cloudevents.event_id': event.id,
    'framegate.connection.id': event.headers['ce-connectionid'],
    'url.path': '/ws/a%20b',
    'http.request.method': 'POST',
    'http.request.body.size': 5,
    'http.response.status_code': 200,
    'http.response.body.size': 5,
  })
  assert.equal(second!.attributes['error.type'], '404')
  const [{ url, headers, resource }] = collector.requests as [(typeof collector.requests)[0]]
  assert.deepEqual([url, headers['api-key'], headers['x-tenant']], ['/otlp/v1/traces', 's,1', 'a'])
  const { 'service.instance.id': node, ...rest } = resource
  assert.deepEqual(rest, { 'service.name': 'chat "gateway"', 'host.name': 'node-1' })
  assert.equal(node, opened!.attributes['framegate.connection.id']!.toString().slice(0, 4))
  assert.doesNotMatch(JSON.stringify(spans), /secret/)
})

test('the parent decides what is sampled, and without one a share; every event has a traceparent', async (t) => {
  const collector = await startCollector(t)
  const gateway = await startGateway(t, {
    handler: false,
    env: { ...envOf(collector), OTEL_TRACES_SAMPLER_ARG: '0', TIMERS: '1s /ws/timers/a' },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const flags = async (headers: Record<string, string>): Promise<string[]> => {
    const client = await open(`${gateway.ws}/ws/echo`, { headers })
    await client.ask('hello')
    await client.close()
    const close = await handler.seen('close', ({ headers }) => !seen.has(String(headers['ce-connectionid'])))
    const id = close.headers['ce-connectionid']
    seen.add(String(id))
    const own = handler.events.filter(({ headers }) => headers['ce-connectionid'] === id)
    return own.map(({ headers }) => /^00-[0-9a-f]{32}-[0-9a-f]{16}-(\d\d)$/.exec(String(headers.traceparent))![1]!)
  }
  const seen = new Set<string>()
  assert.deepEqual(await flags({}), ['00', '00', '00'])
  assert.deepEqual(await flags({ traceparent: UNSAMPLED }), ['00', '00', '00'])
  assert.deepEqual(await flags({ traceparent: 'nonsense' }), ['00', '00', '00'])
  assert.deepEqual(await flags({ traceparent: SAMPLED }), ['01', '01', '01'])
  const timer = await handler.seen('timer')
  assert.match(String(timer.headers.traceparent), /-00$/)
  await collector.received(3)

  const traces = handler.events.map(({ headers }) => String(headers.traceparent).slice(3, 35))
  assert.equal(traces.filter((trace) => trace === TRACE).length, 2, 'open events are of the trace of the handshake')
})

test('events of batches have spans of their own', async (t) => {
  const collector = await startCollector(t)
  const gateway = await startGateway(t, { handler: false, env: { ...envOf(collector), HANDLER_CONCURRENCY: '1' } })
  await startApp(t, gateway.handlerSocket, {
    routes: (app) => app.ws('/ws/:name', { message: ({ headers }) => String(headers.traceparent) }),
  })
  const clients = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      open(`${gateway.ws}/ws/${i}`, i % 2 ? { headers: { traceparent: SAMPLED } } : {}),
    ),
  )
  const answers: string[] = []
  let all: Samples
  do {
    answers.push(...(await Promise.all(clients.map((client) => client.ask('x')))).map(String))
    all = await samples(gateway)
  } while (all.request_events_sum === all.request_events_count)
  const spans = await collector.received(clients.length + answers.length)
  assert.deepEqual(named(spans, 'framegate.message').map(traceparentOf).sort(), answers.sort())
  const linked = named(spans, 'framegate.message').filter(({ links }) => links)
  assert.equal(linked.length, answers.length / 2)
})

test('pushes are spans: with the parent that who pushes names, or the event whose answer publishes', async (t) => {
  const collector = await startCollector(t)
  const gateway = await startGateway(t, { handler: false, env: envOf(collector) })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (event.type === 'framegate.open') response.setHeader('ws-subscribe', 'news').setHeader('ws-user', 'ann')
    if (String(event.body) !== 'tell') return echo(event, response, request)
    response.writeHead(200, { 'content-type': 'application/vnd.framegate.effects+json' })
    response.end('{"effects":[{"publish":{"topic":"news","text":"passed on"}}]}')
  })
  const client = await open(`${gateway.ws}/ws/echo`, { headers: { traceparent: UNSAMPLED } })
  const other = await open(`${gateway.ws}/ws/echo`)
  assert.equal(await other.ask('tell'), 'passed on')
  assert.equal(await client.next(), 'passed on')
  const id = (await handler.seen('open')).headers['ce-connectionid']
  const push = (path: string, traceparent?: string) =>
    ask(gateway, 'POST', path, { body: 'frame', headers: traceparent ? { traceparent } : {} })
  const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
  await api.publish('news', 'frame', { traceparent: SAMPLED })
  await push('/topics/news', UNSAMPLED)
  await push(`/connections/${id}`, SAMPLED)
  await push('/connections/gone', SAMPLED)
  await push('/users/ann')
  const batch: BatchItem[] = [
    { broadcast: true, data: 'a' },
    { publish: 'none', data: 'b' },
  ]
  await api.batch(batch, { traceparent: [SAMPLED][0] })
  api.end()
  const spans = await collector.received(9)

  const pushes = spans.filter(({ name }) => name.startsWith('push '))
  assert.deepEqual([...new Set(pushes.map(({ kind }) => kind))], [4])
  const facts = pushes.map(({ name, traceId, parentSpanId, attributes }) => [
    name,
    traceId === TRACE && parentSpanId,
    attributes['messaging.destination.name'] ?? attributes['framegate.connection.id'],
    attributes['framegate.delivered'],
    attributes['error.type'],
  ])
  const [message] = named(spans, 'framegate.message')
  assert.equal(pushes[0]!.traceId, message!.traceId)
  assert.equal(pushes[0]!.parentSpanId, message!.spanId)
  assert.deepEqual(facts, [
    ['push topic', false, 'news', undefined, undefined],
    ['push topic', PARENT, 'news', 2, undefined],
    ['push connection', PARENT, id, 1, undefined],
    ['push connection', PARENT, 'gone', undefined, 'gone'],
    ['push user', false, undefined, 2, undefined],
    ['push broadcast', PARENT, undefined, 2, undefined],
    ['push topic', PARENT, 'none', 0, undefined],
  ])
})

test('error frames and lines of the log have the id of the trace', async (t) => {
  const collector = await startCollector(t)
  const gateway = await startGateway(t, { handler: false, env: envOf(collector) })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response, request) => {
    if (String(event.body) === 'lost') return void request.socket.destroy()
    return echo(event, response, request)
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  const { statusCode, id, traceId } = JSON.parse(String(await client.ask('lost')))
  const event = await handler.seen('message')
  assert.deepEqual([statusCode, id, traceId], [502, event.id, String(event.headers.traceparent).slice(3, 35)])
  await until('the log has the line', () =>
    gateway.log().includes(`[gateway] ${id} trace ${traceId}: the message event has no answer: the connection`),
  )
  const [, message] = await collector.received(2)
  assert.equal(message!.traceId, traceId)
  assert.equal(message!.attributes['error.type'], 'lost')
  assert.match(message!.status!.message, /^the connection to the handler broke/)
})

test('over FastCGI an event has its traceparent as a parameter, and framegate.php passes it on with pushes', async (t) => {
  const collector = await startCollector(t)
  const php = await startPhp(t)
  const script = php.script(
    'traced.php',
    `<?php
    require '${project}/php/framegate.php';
    $event = Framegate\\Event::read();
    $reply = new Framegate\\Reply();
    if ($event->type === 'message') {
        (new Framegate\\Gateway($event->data, '${TOKEN}'))->publish('news', 'x');
        $reply->send($_SERVER['HTTP_TRACEPARENT']);
    }
    $reply->write();`,
  )
  const control = `127.0.0.1:${await freePort()}`
  const env = { ...envOf(collector), HANDLER_URL: php.url(script), CONTROL_PORT: control, CONTROL_TOKEN: TOKEN }
  const gateway = await startGateway(t, { handler: false, env })
  const client = await open(`${gateway.ws}/ws/a`, { headers: { traceparent: SAMPLED } })
  const traceparent = await client.ask(`http://${control}`)
  const spans = await collector.received(3)
  const [message] = named(spans, 'framegate.message')
  assert.equal(traceparentOf(message!), traceparent)
  assert.equal(named(spans, 'push topic')[0]!.parentSpanId, message!.spanId)
})
