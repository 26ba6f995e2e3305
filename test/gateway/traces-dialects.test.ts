/** OTEL_EXPORTER_OTLP_ENDPOINT with handlers that speak another dialect: AWS' and GRIP. Each event is one span. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { event, KEY, startGripGateway, startRawBackend } from '../grip/support.ts'
import { open } from '../support/client.ts'
import { type Span, startCollector } from '../support/collector.ts'
import { lambdaGateway } from '../support/lambda.ts'
import { until } from '../support/wait.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const SAMPLED = `00-${TRACE}-${PARENT}-01`

const envOf = (collector: { port: number }): Record<string, string> => ({
  WORKERS: '1',
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
})

/** The traceparent with which a span went to the handler. */
const traceparentOf = ({ traceId, spanId }: Span): string => `00-${traceId}-${spanId}-01`

const named = (spans: Span[], name: string): Span[] => spans.filter((span) => span.name === name)

/** Open is a child of the handshake's span. Each other event of the socket begins a trace, with a link to that. */
function assertParents(spans: Span[]): void {
  const [opened] = named(spans, 'framegate.open')
  assert.deepEqual([opened!.traceId, opened!.parentSpanId, opened!.links], [TRACE, PARENT, undefined])
  for (const span of spans.filter((span) => span !== opened))
    assert.deepEqual([span.parentSpanId, span.links], [undefined, [{ traceId: TRACE, spanId: PARENT }]], span.name)
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, spans.length)
}

test('each invocation of a function is a span, also one that fails', async (t) => {
  const collector = await startCollector(t)
  const { gateway, lambda } = await lambdaGateway(
    t,
    ({ body }) => {
      if (body === 'fail') throw new Error('no such table')
      return { statusCode: 200, body: body ?? '' }
    },
    { env: envOf(collector) },
  )
  const client = await open(`${gateway.ws}/ws/chat?token=secret`, { headers: { traceparent: SAMPLED } })
  assert.equal(await client.ask('hello'), 'hello')
  assert.match(String(await client.ask('fail')), /Internal server error/)
  await client.close()
  const spans = await collector.received(4)

  assertParents(spans)
  assert.deepEqual(spans.map(({ name }) => name).sort(), [
    'framegate.close',
    'framegate.message',
    'framegate.message',
    'framegate.open',
  ])
  const ofInvocation = lambda.invocations.map(({ event, headers }) => [
    headers.traceparent,
    event.requestContext.requestId,
    event.requestContext.connectionId,
  ])
  const ofSpan = spans.map((span) => [
    traceparentOf(span),
    span.attributes['cloudevents.event_id'],
    span.attributes['framegate.connection.id'],
  ])
  assert.deepEqual(ofSpan.sort(), ofInvocation.sort())
  for (const type of ['CONNECT', 'DISCONNECT']) {
    const { event, headers } = lambda.invocations.find(({ event }) => event.requestContext.eventType === type)!
    assert.equal(event.headers.Traceparent, headers.traceparent, type)
  }
  assert.doesNotMatch(JSON.stringify(spans), /secret/)
})

test('each request of WebSocket-over-HTTP is a span, also one without events, and so is each item of a publish', async (t) => {
  const collector = await startCollector(t)
  const backend = await startRawBackend(t, ({ body }) => {
    if (body === 'OPEN\r\n')
      return {
        headers: { 'sec-websocket-extensions': 'grip' },
        body: body + event('TEXT', 'c:{"type":"subscribe","channel":"news"}'),
      }
    return { body: body === '' ? event('TEXT', 'm:polled') : body.startsWith('TEXT') ? event('TEXT', 'm:hi') : body }
  })
  const gateway = await startGripGateway(t, backend.url, { env: envOf(collector) })
  const client = await open(`${gateway.ws}/ws/chat`, { headers: { traceparent: SAMPLED } })
  assert.equal(await client.ask('hello'), 'hi')
  const items = [{ content: 'news' }, { action: 'refresh' }].map((format) => ({
    channel: 'news',
    formats: { 'ws-message': format },
  }))
  const published = await fetch(`${gateway.control}/publish/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, traceparent: SAMPLED },
    body: JSON.stringify({ items }),
  })
  assert.equal(published.status, 200)
  assert.deepEqual([await client.next(), await client.next()], ['news', 'polled'])
  await client.close()
  await until('the close', () => backend.requests.length === 4)
  const spans = await collector.received(6)

  const pushes = named(spans, 'push topic')
  const facts = pushes.map(({ traceId, parentSpanId, attributes }) => [
    traceId,
    parentSpanId,
    attributes['messaging.destination.name'],
    attributes['framegate.delivered'],
  ])
  assert.deepEqual(facts, Array(2).fill([TRACE, PARENT, 'news', 1]))
  const events = spans.filter((span) => !pushes.includes(span))
  assertParents(events)
  assert.deepEqual(events.map(({ name }) => name).sort(), [
    'framegate.alarm',
    'framegate.close',
    'framegate.message',
    'framegate.open',
  ])
  assert.deepEqual(
    events.map((span) => [traceparentOf(span), span.attributes['framegate.connection.id']]).sort(),
    backend.requests.map(({ headers }) => [headers.traceparent, headers['connection-id']]).sort(),
  )
})
