// @connections, used by the unmodified client of AWS' SDK.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  GoneException,
  LimitExceededException,
  PayloadTooLargeException,
} from '@aws-sdk/client-apigatewaymanagementapi'
import { awsEnv, awsGateway, Sdk } from '../support/aws.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { ask, join, leave } from '../support/push-gateway.ts'
import { startTwoNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

const LARGEST = 128 * 1024

test('one gateway', async (t) => {
  const { gateway, port } = await awsGateway(t)

  await t.test('the SDK posts text and bytes, describes a connection and closes it', async (t) => {
    const client = await open(`${gateway.ws}/ws/in/news`, { headers: { 'user-agent': 'a program "x"/1.0' } })
    const id = String(await client.next())
    for (const path of ['', '/prod', '/prod/', '/v1~a', '/dashboard', '/shared/']) {
      await new Sdk(t, port, { path }).post(id, `text ä over ${path}`)
      assert.equal(await client.next(), `text ä over ${path}`)
    }
    const sdk = new Sdk(t, port, { path: '/prod' })
    await sdk.post(id, '')
    assert.equal(await client.next(), '', 'an empty message')
    const bytes = Uint8Array.from([0, 255, 128, 10])
    await sdk.post(id, bytes)
    assert.deepEqual(await client.next(), Buffer.from(bytes))
    await sdk.post(id, 'x'.repeat(LARGEST))
    assert.equal(String(await client.next()).length, LARGEST)

    const { ConnectedAt, LastActiveAt, Identity } = await sdk.get(id)
    assert.ok(Math.abs(Date.now() - ConnectedAt!.getTime()) < 60_000)
    assert.ok(LastActiveAt! >= ConnectedAt!)
    assert.deepEqual(Identity, { SourceIp: '127.0.0.1', UserAgent: 'a program "x"/1.0' })
    await client.ask('hello')
    await until('the message counts', async () => (await sdk.get(id)).LastActiveAt! > LastActiveAt!)

    assert.equal(await sdk.delete(id), 204)
    assert.deepEqual(await client.closed, { code: 1000, reason: '' })
  })

  await t.test('a connection that is gone or never was is a GoneException, for every operation', async (t) => {
    const sdk = new Sdk(t, port, { path: '/prod' })
    const { client, id } = await join(gateway, 'news')
    await client.close()
    await until('gone', async () => (await ask(gateway, 'GET', `/connections/${id}`)).status === 410)
    for (const gone of [id, 'never', 'L0SM9cOFvHcCIhw=', 'a/b c%']) {
      for (const ask of [() => sdk.post(gone, 'x'), () => sdk.get(gone), () => sdk.delete(gone)]) {
        await assert.rejects(ask, (error: GoneException) => {
          assert.ok(error instanceof GoneException)
          assert.equal(error.message, 'this connection is gone, or never was')
          assert.equal(error.$metadata.httpStatusCode, 410)
          assert.match(error.$metadata.requestId!, /^[\w-]{22}$/)
          return true
        })
      }
    }
  })

  await t.test('a path of the API itself is not a connection of AWS', async () => {
    const answer = await ask(gateway, 'GET', '/topics/@connections/messages')
    assert.match(answer.json.type, /about:blank/)
    assert.equal((await ask(gateway, 'GET', '/@connections')).json.detail, 'no such resource: see /openapi.json')
    assert.equal((await ask(gateway, 'GET', '/a/b/@connections/c')).status, 404)
    const wrong = await ask(gateway, 'PUT', '/prod/%40connections/never')
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'DELETE, GET, POST'])
    assert.equal(wrong.headers['x-amzn-errortype'], 'MethodNotAllowedException')
  })
})

test('a message that is too large, and one that finds no room', async (t) => {
  const { gateway, port } = await awsGateway(t, { OUTBOX_BYTES: '1k' })
  const sdk = new Sdk(t, port)
  const { client, id } = await join(gateway, 'news')
  await assert.rejects(sdk.post(id, 'x'.repeat(LARGEST + 1)), (error: PayloadTooLargeException) => {
    assert.ok(error instanceof PayloadTooLargeException)
    assert.equal(error.message, `a message may have ${LARGEST} bytes at most`)
    return true
  })
  client.socket.pause()
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 1000; i++) await sdk.post(id, 'x'.repeat(LARGEST))
  }
  await assert.rejects(fill(), (error: LimitExceededException) => {
    assert.ok(error instanceof LimitExceededException)
    return true
  })
  leave({ client, id })
})

test('one node of a cluster reaches the connections of another', async (t) => {
  const ports = { north: await freePort(), south: await freePort() }
  const { north } = await startTwoNodes(t, { env: (name) => awsEnv(ports[name as 'north' | 'south']) })
  const sdk = new Sdk(t, ports.south, { path: '/prod' })
  const { client, id } = await join(north, 'news')
  await sdk.post(id, 'from the south')
  assert.equal(await client.next(), 'from the south')
  const { ConnectedAt, LastActiveAt, Identity } = await sdk.get(id)
  assert.ok(ConnectedAt! <= LastActiveAt!)
  assert.equal(Identity?.SourceIp, '127.0.0.1')
  assert.equal(await sdk.delete(id), 204)
  assert.equal((await client.closed).code, 1000)
  await until('gone in the cluster', () =>
    sdk.get(id).then(
      () => false,
      (error) => error instanceof GoneException,
    ),
  )
})
