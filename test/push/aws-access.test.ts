// Who may use @connections: requests that are signed with the right key by a clock that is right.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForbiddenException } from '@aws-sdk/client-apigatewaymanagementapi'
import { awsGateway, KEY, Sdk, TOKEN } from '../support/aws.ts'
import { freePort } from '../support/free-port.ts'
import { type Answer, ask, join, leave, pushGateway, type Question } from '../support/push-gateway.ts'

type Signed = { method: string; path: string; headers: Record<string, string>; body: string }

/** What the SDK sends to post a text, as it is signed. */
async function signed(sdk: Sdk, id: string, text: string): Promise<Signed> {
  const request: Signed = { method: '', path: '', headers: {}, body: text }
  sdk.client.middlewareStack.add(
    (next) => async (args) => {
      const { method, path, headers } = args.request as Signed
      Object.assign(request, { method, path, headers: { ...headers } })
      return next(args)
    },
    { step: 'deserialize', name: 'capture', override: true },
  )
  await sdk.post(id, text)
  return request
}

function assertRefused(answer: Answer, status: number, name: string): void {
  assert.deepEqual([answer.status, answer.headers['x-amzn-errortype']], [status, name])
  assert.match(answer.headers['content-type']!, /^application\/json/)
  assert.equal(typeof answer.json.message, 'string')
}

test('one gateway with two keys', async (t) => {
  const second = { accessKeyId: 'SECOND', secretAccessKey: 'another/secret+of+AWS=' }
  const { gateway, port } = await awsGateway(t, {
    CONTROL_AWS_KEY_ID: `${KEY.accessKeyId}, ${second.accessKeyId}`,
    CONTROL_AWS_SECRET: `${KEY.secretAccessKey}, ${second.secretAccessKey}`,
  })

  await t.test('a wrong key or secret is a ForbiddenException, and two keys are right during a rotation', async (t) => {
    const member = await join(gateway, 'news')
    for (const credentials of [KEY, second, { ...KEY, sessionToken: 'a-session-token' }]) {
      await new Sdk(t, port, { credentials }).post(member.id, credentials.accessKeyId)
      assert.equal(await member.client.next(), credentials.accessKeyId)
    }
    for (const credentials of [
      { ...KEY, accessKeyId: 'UNKNOWN' },
      { ...KEY, secretAccessKey: 'wrong' },
      { ...KEY, secretAccessKey: second.secretAccessKey },
    ]) {
      const sdk = new Sdk(t, port, { credentials })
      const { id } = member
      for (const ask of [() => sdk.post(id, 'x'), () => sdk.get(id), () => sdk.delete(id), () => sdk.get('never')]) {
        await assert.rejects(ask, (error: ForbiddenException) => {
          assert.ok(error instanceof ForbiddenException)
          assert.equal(error.$metadata.httpStatusCode, 403)
          return true
        })
      }
    }
    assert.equal(await member.client.ask('nothing came in between'), 'nothing came in between')
    leave(member)
  })

  await t.test(
    'a clock that is off is refused by the name by which the SDK sets its clock and asks again',
    async (t) => {
      const member = await join(gateway, 'news')
      for (const minutes of [-6, 6]) {
        const systemClockOffset = minutes * 60_000
        const sdk = new Sdk(t, port, { systemClockOffset })
        await assert.rejects(sdk.post(member.id, 'x'), (error: ForbiddenException) => {
          assert.equal(error.name, 'InvalidSignatureException')
          assert.equal(error.$metadata.httpStatusCode, 403)
          assert.match(
            error.message,
            minutes < 0 ? /^Signature expired: \d{8}T\d{6}Z is/ : /^Signature not yet current: /,
          )
          return true
        })
        await sdk.post(member.id, 'corrected')
        assert.equal(await member.client.next(), 'corrected')
      }
      await new Sdk(t, port, { systemClockOffset: -6 * 60_000, maxAttempts: 2 }).post(member.id, 'by a repeat')
      assert.equal(await member.client.next(), 'by a repeat')
      await new Sdk(t, port, { systemClockOffset: 4 * 60_000 }).post(member.id, 'near enough')
      assert.equal(await member.client.next(), 'near enough')
      leave(member)
    },
  )

  await t.test('a signature covers method, path, headers and body', async (t) => {
    const member = await join(gateway, 'news')
    const request = await signed(new Sdk(t, port, { path: '/prod' }), member.id, 'a text')
    const send = (changes: Partial<Signed>): Promise<Answer> => {
      const { method, path, headers, body } = { ...request, ...changes }
      return ask(gateway, method, path, { headers, body, port })
    }
    assert.equal((await send({})).status, 200, 'again, which is a repeat of the SDK')
    const authorization = request.headers.authorization!
    const changed: Array<Partial<Signed>> = [
      { body: 'another' },
      { method: 'DELETE' },
      { path: request.path.replace('prod', 'test') },
      { path: request.path.replace('@', '%40') },
      { path: `${request.path}?a=1` },
      { headers: { ...request.headers, host: 'other' } },
      { headers: { ...request.headers, 'amz-sdk-invocation-id': 'other' } },
      {
        headers: {
          ...request.headers,
          authorization: authorization.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
        },
      },
      { headers: { ...request.headers, authorization: authorization.replace('eu-central-1', 'eu-central-2') } },
      { headers: { ...request.headers, authorization: authorization.replace('execute-api', 's3') } },
      { headers: { ...request.headers, authorization: authorization.replace('host;', '') } },
      {
        headers: {
          ...request.headers,
          authorization: authorization.replace('SignedHeaders=', 'SignedHeaders=x-none;'),
        },
      },
      { headers: { ...request.headers, authorization: 'AWS4-HMAC-SHA256 Credential=a' } },
      { headers: { ...request.headers, 'x-amz-date': '20260101T000000Z' } },
    ]
    for (const changes of changed) assertRefused(await send(changes), 403, 'ForbiddenException')
    assert.equal(await member.client.next(), 'a text')
    assert.equal(await member.client.ask('no more'), 'no more')
    leave(member)
  })

  await t.test('a key opens @connections alone; the token opens them too', async (t) => {
    const member = await join(gateway, 'news')
    const { headers } = await signed(new Sdk(t, port), member.id, 'x')
    assert.equal(await member.client.next(), 'x')
    for (const path of ['/connections', `/connections/${member.id}`, '/status', '/a/b/@connections/c'])
      assert.equal((await ask(gateway, 'GET', path, { headers, port })).status, 401)
    const path = `/@connections/${member.id}`
    const bearer: Question = { headers: { authorization: `Bearer ${TOKEN}` }, body: 'by token', port }
    assert.equal((await ask(gateway, 'POST', path, bearer)).status, 200)
    assert.equal(await member.client.next(), 'by token')
    assert.equal((await ask(gateway, 'POST', path, { body: 'by unix socket' })).status, 200)
    assert.equal(await member.client.next(), 'by unix socket')
    assertRefused(await ask(gateway, 'POST', path, { body: 'x', port }), 401, 'UnauthorizedException')
    const chunked = { 'transfer-encoding': 'chunked', ...bearer.headers }
    assertRefused(await ask(gateway, 'POST', path, { ...bearer, headers: chunked }), 411, 'LengthRequiredException')
    leave(member)
  })
})

test('without a key nobody can sign, and MAX_MESSAGE_BYTES counts if it is less than AWS allows', async (t) => {
  const port = await freePort()
  const gateway = await pushGateway(t, {
    CONTROL_PORT: `127.0.0.1:${port}`,
    CONTROL_TOKEN: TOKEN,
    MAX_MESSAGE_BYTES: '100',
  })
  const member = await join(gateway, 'news')
  await assert.rejects(new Sdk(t, port).get(member.id), (error: ForbiddenException) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], ['UnauthorizedException', 401])
    return true
  })
  const large: Question = { headers: { authorization: `Bearer ${TOKEN}` }, body: 'x'.repeat(101), port }
  assertRefused(await ask(gateway, 'POST', `/@connections/${member.id}`, large), 413, 'PayloadTooLargeException')
  leave(member)
})
