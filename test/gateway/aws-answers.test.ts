// Handlers written for AWS Lambda behind a WebSocket API: what becomes of what they return.
import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import { Client, open } from '../support/client.ts'
import { type LambdaEvent, type LambdaFunction, lambdaGateway } from '../support/lambda.ts'
import { until } from '../support/wait.ts'

const OK = { statusCode: 200 }

/** A function that does what the message names, or the parameter `how` of the handshake. */
function doing(acts: Record<string, LambdaFunction>): LambdaFunction {
  return (event) => {
    const how = event.requestContext.eventType === 'MESSAGE' ? event.body : event.queryStringParameters?.how
    return how in acts ? acts[how]!(event) : OK
  }
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

/** What these return says that they have accepted, but the rest of it is wrong. */
const UNUSABLE: Record<string, LambdaFunction> = {
  'has-an-object-as-body': () => ({ ...OK, body: {} }),
  'is-not-base64': () => ({ ...OK, body: '%', isBase64Encoded: true }),
}

const FAILING: Record<string, LambdaFunction> = {
  throws: () => {
    throw new TypeError('no such table')
  },
  'returns-nothing': () => undefined,
  'returns-a-text': () => 'hello',
  'has-no-status': () => ({ body: 'hello' }),
  'has-a-wrong-status': () => ({ statusCode: 'ok' }),
  ...UNUSABLE,
}

const ACTS: Record<string, LambdaFunction> = {
  ...FAILING,
  text: () => ({ ...OK, body: 'ä {}' }),
  bytes: () => ({ ...OK, body: 'AP8=', isBase64Encoded: true }),
  nothing: () => OK,
  null: () => ({ ...OK, body: null }),
  refused: () => ({ statusCode: 400, body: 'not so' }),
  'ws-close': () => ({ ...OK, headers: { 'ws-close': '4000' }, body: 'still open' }),
  unauthorized: () => ({ statusCode: 401, headers: { 'Content-Type': 'text/plain' }, body: 'who are you?' }),
  forbidden: () => ({ statusCode: 403 }),
  'sets-a-wrong-cookie': () => ({ ...OK, headers: { 'Set-Cookie': 'a=b\r\nx-evil: c' } }),
  'has-a-wrong-header': () => ({ statusCode: 403, headers: { 'x-a': 'b\r\nx-evil: c' } }),
  protocol: () => ({ ...OK, headers: { 'Sec-WebSocket-Protocol': 'two' }, body: 'is not sent' }),
  lists: () => ({ ...OK, multiValueHeaders: { 'sec-websocket-protocol': ['two'], 'Set-Cookie': ['a=1', 'b=2'] } }),
}

test('one gateway', async (t) => {
  const { gateway, lambda } = await lambdaGateway(t, doing(ACTS), { expect: [/subprotocol|Sec-WebSocket-Protocol/] })

  await t.test('the body that a function returns for a message goes to the client', async () => {
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

  await t.test('a function that fails, or returns what is no answer, is an internal server error', async () => {
    const client = await open(`${gateway.ws}/ws/chat`)
    for (const name of Object.keys(FAILING)) {
      client.socket.send(name)
      const error = await client.json()
      const event = await lambda.seen('MESSAGE', ({ body }) => body === name)
      assert.deepEqual(error, failed(event, 'Internal server error'), name)
    }
    assert.equal(await client.ask('text'), 'ä {}', 'the socket stays')
    await until('the error is logged', () => /the function failed: TypeError: no such table/.test(gateway.log()))
    await client.close()
  })

  await t.test('$connect refuses a handshake, and fails with 502; $disconnect follows if it had accepted', async () => {
    const before = lambda.invocations.map(({ event }) => event.requestContext.connectionId)
    const refuse = (how: string): Promise<{ status: number; body: string; type?: string }> =>
      refusal(gateway.url, `/ws/chat?how=${how}`)
    assert.deepEqual(await refuse('unauthorized'), { status: 401, body: 'who are you?', type: 'text/plain' })
    assert.equal((await refuse('forbidden')).status, 403)
    const idOf = async (how: string): Promise<string> => {
      const isIt = ({ queryStringParameters }: LambdaEvent): boolean => queryStringParameters?.how === how
      return (await lambda.seen('CONNECT', isIt)).requestContext.connectionId
    }
    for (const how of [...Object.keys(FAILING), 'sets-a-wrong-cookie', 'has-a-wrong-header']) {
      const { status, body } = await refuse(how)
      const event = await lambda.seen('CONNECT', ({ queryStringParameters }) => queryStringParameters?.how === how)
      assert.deepEqual([status, JSON.parse(body)], [502, failed(event, 'Internal server error')], how)
    }
    assert.equal((await refuse('protocol')).status, 500, 'the subprotocol was not offered')
    const client = await open(`${gateway.ws}/ws/chat?how=last`)
    await client.close()

    const ended = [...Object.keys(UNUSABLE), 'sets-a-wrong-cookie', 'protocol', 'last']
    const ids = await Promise.all(ended.map(idOf))
    const isEnded = ({ requestContext }: LambdaEvent): boolean => requestContext.connectionId === ids.at(-1)
    await lambda.seen('DISCONNECT', isEnded)
    const disconnected = (): string[] =>
      lambda.invocations
        .filter(({ event }) => event.requestContext.eventType === 'DISCONNECT')
        .map(({ event }) => event.requestContext.connectionId)
        .filter((id) => !before.includes(id))
    await until('each that had accepted has its $disconnect', () => disconnected().length >= ids.length)
    assert.deepEqual(disconnected().sort(), ids.sort(), 'and no other one')
  })

  await t.test('$connect chooses a subprotocol by its header, and may set cookies', async () => {
    for (const how of ['protocol', 'lists']) {
      const client = new Client(`${gateway.ws}/ws/chat?how=${how}`, { protocols: ['one', 'two'] })
      const cookies = new Promise((resolve) =>
        client.socket.once('upgrade', ({ headers }) => resolve(headers['set-cookie'])),
      )
      await client.opened
      assert.equal(client.socket.protocol, 'two')
      assert.deepEqual(await cookies, how === 'lists' ? ['a=1', 'b=2'] : undefined)
      assert.equal(await client.ask('text'), 'ä {}', 'the first frame')
      await client.close()
    }
  })
})

test('without a route response only errors go to the client, also of functions that are not there or too slow', async (t) => {
  const slow = (): Promise<never> => new Promise(() => {})
  const { gateway, lambda } = await lambdaGateway(
    t,
    { function: doing({ ...ACTS, slow }) },
    { env: { HANDLER_AWS_ROUTE_RESPONSE: 'off', HANDLER_AWS_ROUTES: 'missing=Missing', HANDLER_TIMEOUT: '3s' } },
  )
  const client = await open(`${gateway.ws}/ws/chat`)
  client.socket.send('text')
  client.socket.send('{"action":"missing"}')
  const isMissing = ({ requestContext }: LambdaEvent): boolean => requestContext.routeKey === 'missing'
  assert.deepEqual(await client.json(), failed(await lambda.seen('MESSAGE', isMissing), 'Internal server error'))
  client.socket.send('slow')
  const isSlow = ({ body }: LambdaEvent): boolean => body === 'slow'
  assert.deepEqual(await client.json(), failed(await lambda.seen('MESSAGE', isSlow), 'Endpoint request timed out'))
  await client.close()
})
