// Handlers written for AWS Lambda behind a WebSocket API: what becomes of what they return.
import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import { Client, open } from '../support/client.ts'
import { type LambdaEvent, type LambdaFunction, lambdaGateway } from '../support/lambda.ts'

const OK = { statusCode: 200 }

/** A function that does for a message what the message names, and accepts every socket. */
function onMessage(acts: Record<string, LambdaFunction>): LambdaFunction {
  return (event) => (event.requestContext.eventType === 'MESSAGE' ? acts[event.body]!(event) : OK)
}

/** The answer to a handshake that is refused. */
async function refusal(url: string, path: string): Promise<{ status: number; body: string; type?: string }> {
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  return new Promise((resolve, reject) => {
    get(`${url}${path}`, { headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode!, body, type: response.headers['content-type'] }))
    })
      .on('upgrade', () => reject(new Error('it was accepted')))
      .on('error', reject)
  })
}

const failed = (event: LambdaEvent, message: string): Record<string, string> => ({
  message,
  connectionId: event.requestContext.connectionId,
  requestId: event.requestContext.requestId,
})

test('the body that a function returns for a message goes to the client', async (t) => {
  const { gateway } = await lambdaGateway(
    t,
    onMessage({
      text: () => ({ ...OK, body: 'ä {}' }),
      bytes: () => ({ ...OK, body: 'AP8=', isBase64Encoded: true }),
      nothing: () => OK,
      null: () => ({ ...OK, body: null }),
      refused: () => ({ statusCode: 400, body: 'not so' }),
      'ws-close': () => ({ ...OK, headers: { 'ws-close': '4000' }, body: 'still open' }),
    }),
  )
  const client = await open(`${gateway.ws}/ws/chat`)
  assert.equal(await client.ask('text'), 'ä {}')
  assert.deepEqual(await client.ask('bytes'), Buffer.from([0, 255]))
  client.socket.send('nothing')
  client.socket.send('null')
  assert.equal(await client.ask('refused'), 'not so', 'and nothing for those before')
  assert.equal(await client.ask('ws-close'), 'still open')
  assert.equal(await client.ask('text'), 'ä {}')
  await client.close()
})

test('without a route response only errors go to the client', async (t) => {
  const acts = { text: () => ({ ...OK, body: 'Data sent.' }), wrong: () => ({}) }
  const { gateway, lambda } = await lambdaGateway(t, onMessage(acts), { env: { HANDLER_AWS_ROUTE_RESPONSE: 'off' } })
  const client = await open(`${gateway.ws}/ws/chat`)
  client.socket.send('text')
  client.socket.send('wrong')
  const error = await client.json()
  assert.deepEqual(error, failed(await lambda.seen('MESSAGE', ({ body }) => body === 'wrong'), 'Internal server error'))
  await client.close()
})

test('a function that fails, or returns what is no answer, is an internal server error; the socket stays', async (t) => {
  const acts: Record<string, LambdaFunction> = {
    throws: () => {
      throw new TypeError('no such table')
    },
    'returns nothing': () => undefined,
    'returns a text': () => 'hello',
    'has no status': () => ({ body: 'hello' }),
    'has a wrong status': () => ({ statusCode: 'ok' }),
    'has an object as body': () => ({ ...OK, body: {} }),
    'is not base64': () => ({ ...OK, body: '%', isBase64Encoded: true }),
    fine: () => ({ ...OK, body: 'fine' }),
  }
  const { gateway, lambda } = await lambdaGateway(t, onMessage(acts))
  const client = await open(`${gateway.ws}/ws/chat`)
  for (const name of Object.keys(acts).slice(0, -1)) {
    client.socket.send(name)
    const error = await client.json()
    const event = await lambda.seen('MESSAGE', ({ body }) => body === name)
    assert.deepEqual(error, failed(event, 'Internal server error'), name)
  }
  assert.equal(await client.ask('fine'), 'fine')
  assert.match(gateway.log(), /the function failed: TypeError: no such table/)
  await client.close()
})

test('a function that is not there is an internal server error, and one that is too slow a timeout', async (t) => {
  const { gateway, lambda } = await lambdaGateway(
    t,
    { function: ({ requestContext }) => (requestContext.eventType === 'MESSAGE' ? new Promise(() => {}) : OK) },
    { env: { HANDLER_TIMEOUT: '2s', HANDLER_AWS_ROUTES: 'missing=Missing' } },
  )
  const client = await open(`${gateway.ws}/ws/chat`)
  client.socket.send('slow')
  const timeout = await client.json()
  assert.deepEqual(timeout, failed(await lambda.seen('MESSAGE'), 'Endpoint request timed out'))
  client.socket.send('{"action":"missing"}')
  assert.equal((await client.json()).message, 'Internal server error')
  await client.close()
})

test('$connect refuses a handshake with its status and body, and with 502 when it fails; no $disconnect follows', async (t) => {
  const acts: Record<string, LambdaFunction> = {
    '401': () => ({ statusCode: 401, headers: { 'Content-Type': 'text/plain' }, body: 'who are you?' }),
    '403': () => ({ statusCode: 403 }),
    throws: () => {
      throw new Error('no')
    },
    'no-status': () => ({}),
    'wrong-header': () => ({ statusCode: 403, headers: { 'x-a': 'b\r\nx-evil: c' } }),
  }
  const { gateway, lambda } = await lambdaGateway(t, (event) => {
    const { how } = event.queryStringParameters ?? {}
    return how ? acts[how]!(event) : OK
  })
  const refuse = (how: string): Promise<{ status: number; body: string; type?: string }> =>
    refusal(gateway.url, `/ws/chat?how=${how}`)
  assert.deepEqual(await refuse('401'), { status: 401, body: 'who are you?', type: 'text/plain' })
  assert.equal((await refuse('403')).status, 403)
  for (const how of ['throws', 'no-status', 'wrong-header']) {
    const { status, body } = await refuse(how)
    const event = await lambda.seen('CONNECT', ({ queryStringParameters }) => queryStringParameters.how === how)
    assert.deepEqual([status, JSON.parse(body)], [502, failed(event, 'Internal server error')])
  }
  await (await open(`${gateway.ws}/ws/chat`)).close()
  await lambda.seen('DISCONNECT')
  assert.equal(lambda.invocations.filter(({ event }) => event.requestContext.eventType === 'DISCONNECT').length, 1)
})

test('$connect chooses a subprotocol by its header, and may set cookies', async (t) => {
  const { gateway } = await lambdaGateway(t, ({ queryStringParameters: query }) => ({
    ...OK,
    body: 'is not sent',
    ...(query?.multi
      ? { multiValueHeaders: { 'sec-websocket-protocol': ['two'], 'Set-Cookie': ['a=1', 'b=2'] } }
      : { headers: { 'Sec-WebSocket-Protocol': 'two' } }),
  }))
  for (const query of ['', '?multi=1']) {
    const client = new Client(`${gateway.ws}/ws/chat${query}`, { protocols: ['one', 'two'] })
    const cookies = new Promise((resolve) =>
      client.socket.once('upgrade', ({ headers }) => resolve(headers['set-cookie'])),
    )
    await client.opened
    assert.equal(client.socket.protocol, 'two')
    assert.deepEqual(await cookies, query ? ['a=1', 'b=2'] : undefined)
    assert.equal(await client.ask('x'), 'is not sent', 'only to a message')
    await client.close()
  }
})
