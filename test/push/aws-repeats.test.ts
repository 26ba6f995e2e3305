// Requests to @connections that the SDK repeats by itself: what it sends has its effect once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GoneException, LimitExceededException } from '@aws-sdk/client-apigatewaymanagementapi'
import { type Attempt, type AttemptAnswer, awsEnv, awsGateway, Sdk, TOKEN } from '../support/aws.ts'
import { freePort } from '../support/free-port.ts'
import { ask, join, leave } from '../support/push-gateway.ts'
import { hold } from '../support/standstill.ts'
import { startTwoNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

/** What becomes of the answer to an attempt. */
const FAULTS: Record<string, (answer: AttemptAnswer) => AttemptAnswer> = {
  'is lost': () => {
    throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  },
  'becomes a 503': (answer) => {
    answer.response.statusCode = 503
    return answer
  },
  'becomes a 504': (answer) => {
    answer.response.statusCode = 504
    return answer
  },
}

/** Lets the first attempts have a fault, and notes all. */
function failFirst(sdk: Sdk, count: number, fault: (answer: AttemptAnswer) => AttemptAnswer): Attempt['headers'][] {
  const attempts: Attempt['headers'][] = []
  sdk.carry(async ({ headers }, send) => {
    attempts.push({ ...headers })
    const isFaulty = attempts.length <= count
    const answer = await send()
    return isFaulty ? fault(answer) : answer
  })
  return attempts
}

test('one gateway', async (t) => {
  const { gateway, port } = await awsGateway(t)

  for (const [what, fault] of Object.entries(FAULTS))
    await t.test(`the answer ${what}: a repeat of the SDK is not delivered again`, async (t) => {
      const member = await join(gateway, 'news')
      const sdk = new Sdk(t, port, { maxAttempts: 3 })
      const attempts = failFirst(sdk, 2, fault)
      await sdk.post(member.id, 'once')
      assert.deepEqual(
        attempts.map((headers) => headers['amz-sdk-request']),
        ['attempt=1; max=3', 'attempt=2; max=3', 'attempt=3; max=3'],
      )
      assert.equal(new Set(attempts.map((headers) => headers['amz-sdk-invocation-id'])).size, 1)
      assert.equal(await member.client.next(), 'once')
      await sdk.post(member.id, 'once')
      assert.equal(await member.client.next(), 'once', 'another call with the same text is no repeat')
      assert.equal(await member.client.ask('nothing more'), 'nothing more')
      leave(member)
    })

  await t.test('a repeated delete has the first answer', async (t) => {
    const member = await join(gateway, 'news')
    const sdk = new Sdk(t, port, { maxAttempts: 2 })
    const attempts = failFirst(sdk, 1, FAULTS['is lost']!)
    assert.equal(await sdk.delete(member.id), 204)
    assert.equal(attempts.length, 2)
    await assert.rejects(sdk.delete(member.id), GoneException, 'another call')
  })

  await t.test('an id that comes again with something else is no repeat', async () => {
    const [one, other] = [await join(gateway, 'news'), await join(gateway, 'news')]
    const headers = { authorization: `Bearer ${TOKEN}`, 'amz-sdk-invocation-id': 'the same' }
    for (const [{ id }, body] of [
      [one, 'a'],
      [one, 'b'],
      [other, 'a'],
      [one, 'a'],
      [one, 'b'],
    ] as const)
      assert.equal((await ask(gateway, 'POST', `/@connections/${id}`, { headers, body, port })).status, 200)
    assert.deepEqual([await one.client.next(), await one.client.next()], ['a', 'b'])
    assert.equal(await other.client.next(), 'a')
    for (const { client } of [one, other]) assert.equal(await client.ask('nothing more'), 'nothing more')
    leave(one, other)
  })
})

test('a repeat of what found no room is sent when there is room', async (t) => {
  const { gateway, port } = await awsGateway(t, { OUTBOX_BYTES: '1k' })
  const member = await join(gateway, 'news')
  member.client.socket.pause()
  const filling = new Sdk(t, port)
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 1000; i++) await filling.post(member.id, 'x'.repeat(128 * 1024))
  }
  await assert.rejects(fill(), LimitExceededException)
  const sdk = new Sdk(t, port, { maxAttempts: 3 })
  const statuses: number[] = []
  sdk.carry(async (_, send) => {
    const answer = await send()
    statuses.push(answer.response.statusCode)
    if (statuses.length === 1) {
      member.client.socket.resume()
      const push = () => ask(gateway, 'POST', `/connections/${member.id}`, { body: 'room' })
      await until('there is room', async () => (await push()).status === 200)
    }
    return answer
  })
  await sdk.post(member.id, 'the last')
  assert.deepEqual(statuses, [429, 200])
  await until('it has come', async () => (await member.client.next()) === 'the last')
  assert.equal(await member.client.ask('nothing more'), 'nothing more')
  leave(member)
})

test('a node that did not answer in time has delivered once, over whichever node the repeat comes', async (t) => {
  const ports: Record<string, number> = { north: await freePort(), south: await freePort() }
  const { south } = await startTwoNodes(t, {
    env: (name) => ({ ...awsEnv(ports[name]!), CLUSTER_WAIT: '1s' }),
  })
  const member = await join(south, 'news')
  const processes = [south.pid, ...south.workers()]
  const release = (): void => processes.forEach((pid) => void process.kill(pid, 'SIGCONT'))
  for (const second of ['north', 'south']) {
    const sdk = new Sdk(t, ports.north!, { maxAttempts: 3 })
    const statuses: number[] = []
    sdk.carry(async (attempt, send) => {
      attempt.port = ports[statuses.length === 0 ? 'north' : second]!
      if (statuses.length === 0) await Promise.all(processes.map(hold))
      const answer = await send().finally(release)
      statuses.push(answer.response.statusCode)
      return answer
    })
    await sdk.post(member.id, `once, then over the ${second}`)
    assert.deepEqual(statuses, [503, 200])
    assert.equal(await member.client.next(), `once, then over the ${second}`)
    assert.equal(await member.client.ask('nothing more'), 'nothing more')
  }
  leave(member)
})
