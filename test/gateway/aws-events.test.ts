// Handlers written for AWS Lambda behind a WebSocket API: what they get.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { open } from '../support/client.ts'
import { KILLED } from '../support/gateway.ts'
import { lambdaGateway } from '../support/lambda.ts'
import { SECRET } from '../support/signatures.ts'
import { until } from '../support/wait.ts'

const OK = { statusCode: 200 }

test('$connect gets the handshake', async (t) => {
  const { gateway, lambda } = await lambdaGateway(t, () => ({ ...OK, headers: { 'Sec-WebSocket-Protocol': 'two' } }))
  const client = await open(`${gateway.ws}/ws/chat?room=caf%C3%A9+bar&tag=a&tag=b&empty`, {
    headers: { authorization: 'Bearer x', 'x-api-key': 'k', 'user-agent': 'browser/1', cookie: 'a=b' },
    protocols: ['one', 'two'],
  })
  assert.equal(client.socket.protocol, 'two')
  const { requestContext, headers, multiValueHeaders, ...event } = await lambda.seen('CONNECT')
  assert.deepEqual(event, {
    isBase64Encoded: false,
    queryStringParameters: { room: 'café bar', tag: 'b', empty: '' },
    multiValueQueryStringParameters: { room: ['café bar'], tag: ['a', 'b'], empty: [''] },
  })
  const host = `127.0.0.1:${gateway.port}`
  const { requestTime, requestTimeEpoch, connectedAt, requestId, extendedRequestId, connectionId, ...context } =
    requestContext
  assert.deepEqual(context, {
    routeKey: '$connect',
    eventType: 'CONNECT',
    messageDirection: 'IN',
    stage: 'ws',
    domainName: host,
    apiId: 'framegate',
    identity: { sourceIp: '127.0.0.1', userAgent: 'browser/1' },
  })
  assert.match(requestTime, /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/)
  for (const time of [requestTimeEpoch, connectedAt])
    assert.ok(Number.isInteger(time) && Math.abs(Date.now() - time) < 60_000)
  assert.match(connectionId, /^[\w-]{32}$/)
  assert.equal(requestId, extendedRequestId)
  const { 'Sec-WebSocket-Key': key, ...others } = headers
  assert.equal(key.length, 24)
  assert.deepEqual(others, {
    Host: host,
    Authorization: 'Bearer x',
    'X-Api-Key': 'k',
    'User-Agent': 'browser/1',
    Cookie: 'a=b',
    'Sec-WebSocket-Protocol': 'one,two',
    'Sec-WebSocket-Version': '13',
    'X-Forwarded-For': '127.0.0.1',
    'X-Forwarded-Proto': 'http',
    'X-Forwarded-Host': host,
  })
  assert.deepEqual(multiValueHeaders.Cookie, ['a=b'])
  await client.close()
})

test('messages go to $default, text and binary, and $disconnect gets code and reason', async (t) => {
  const { gateway, lambda } = await lambdaGateway(t, () => OK)
  const client = await open(`${gateway.ws}/ws/chat`)
  const { connectionId, connectedAt } = (await lambda.seen('CONNECT')).requestContext
  assert.equal((await lambda.seen('CONNECT')).queryStringParameters, undefined)
  client.socket.send('{"action":"ä"}')
  client.socket.send(Buffer.from([0, 255]))
  const text = await lambda.seen('MESSAGE', ({ isBase64Encoded }) => !isBase64Encoded)
  assert.deepEqual(Object.keys(text).sort(), ['body', 'isBase64Encoded', 'requestContext'])
  assert.equal(text.body, '{"action":"ä"}')
  const { routeKey, messageId, requestId } = text.requestContext
  assert.deepEqual([routeKey, messageId], ['$default', requestId])
  assert.deepEqual([text.requestContext.connectionId, text.requestContext.connectedAt], [connectionId, connectedAt])
  const binary = await lambda.seen('MESSAGE', ({ isBase64Encoded }) => isBase64Encoded)
  assert.equal(binary.body, 'AP8=')
  assert.notEqual(binary.requestContext.requestId, requestId)
  await client.close(4001, 'bye ä')
  const { requestContext, headers, isBase64Encoded } = await lambda.seen('DISCONNECT')
  assert.deepEqual([requestContext.routeKey, requestContext.connectionId], ['$disconnect', connectionId])
  assert.deepEqual([requestContext.disconnectStatusCode, requestContext.disconnectReason], [4001, 'bye ä'])
  const host = `127.0.0.1:${gateway.port}`
  const forwarded = { 'X-Forwarded-For': '127.0.0.1', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': host }
  assert.deepEqual(headers, { Host: host, ...forwarded })
  assert.equal(isBase64Encoded, false)
  assert.equal(lambda.invocations.length, 4)
  assert.ok(lambda.invocations.every(({ name }) => name === 'function'))
})

test('a message takes the route that the selection expression finds, to the function of that route', async (t) => {
  const answer = (text: string) => (event: any) => ({ ...OK, body: `${text} ${event.requestContext.routeKey}` })
  const { gateway, lambda } = await lambdaGateway(
    t,
    { function: answer('any'), OnConnect: () => OK, Chat: answer('chat'), OnEnd: () => OK },
    {
      env: {
        HANDLER_AWS_ROUTES: 'room/join, room/1=Chat, $connect=OnConnect, $disconnect=OnEnd',
        HANDLER_AWS_ROUTE_SELECTION: '${request.body.service}/${request.body.do.what}',
      },
    },
  )
  const client = await open(`${gateway.ws}/ws/chat`)
  const ask = async (message: unknown): Promise<unknown> => client.ask(JSON.stringify(message))
  assert.equal(await ask({ service: 'room', do: { what: 'join' } }), 'any room/join')
  assert.equal(await ask({ service: 'room', do: { what: 1 } }), 'chat room/1')
  for (const other of [{ service: 'room' }, { service: 'room', do: 'join' }, [], 'room/join', null, 5])
    assert.equal(await ask(other), 'any $default')
  assert.equal(await client.ask('no JSON'), 'any $default')
  assert.equal(await client.ask(Buffer.from('{"service":"room","do":{"what":1}}')), 'any $default')
  await client.close()
  await lambda.seen('DISCONNECT')
  const names = lambda.invocations.map(({ name }) => name)
  assert.deepEqual([names[0], names.at(-1)], ['OnConnect', 'OnEnd'])
})

test('a socket of a worker that was killed gets its $disconnect', async (t) => {
  const { gateway, lambda } = await lambdaGateway(t, () => OK, { expect: [KILLED] })
  const client = await open(`${gateway.ws}/ws/chat`, { headers: { 'user-agent': 'browser/1', 'x-other': 'y' } })
  const { connectionId } = (await lambda.seen('CONNECT')).requestContext
  for (const worker of gateway.workers()) process.kill(worker, 'SIGKILL')
  await client.closed
  const { requestContext, headers } = await lambda.seen('DISCONNECT')
  assert.deepEqual([requestContext.connectionId, requestContext.disconnectStatusCode], [connectionId, 1006])
  assert.deepEqual([headers['User-Agent'], headers['X-Other']], ['browser/1', undefined])
  assert.deepEqual(requestContext.identity, { sourceIp: '127.0.0.1', userAgent: 'browser/1' })
})

test('invocations are signed, and a location may speak otherwise than HANDLER_PROTOCOL', async (t) => {
  const { gateway, lambda } = await lambdaGateway(t, () => OK, {
    env: { HANDLER_PROTOCOL: 'framegate', HANDLER_SECRET: SECRET },
    locations: 'location /ws/aws/ { set $ws_protocol aws; include socket.conf; }',
  })
  const client = await open(`${gateway.ws}/ws/aws/a`)
  await client.close()
  await until('both events', () => lambda.invocations.length === 2)
  for (const { body, headers } of lambda.invocations)
    assert.deepEqual(new Webhook(SECRET).verify(body, headers as Record<string, string>), JSON.parse(body))
})
