// Redis refuses a node: wrong password, a replica, or an ACL. One line in the log has the reason. Meanwhile the node serves its own
// sockets, and it joins the others by itself once that is repaired.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, leave } from '../support/push-gateway.ts'
import { type Redis, startRedis, startReplica } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { listener, nodesInRedis, reaches, startNode, urlOf } from './support.ts'

function warnings(gateway: Gateway): string[] {
  return gateway
    .log()
    .split('\n')
    .filter((line) => line.includes('[gateway]') && /\[warn\]|\[error\]/.test(line))
}

/** The line that has the reason. The log comes over a pipe, behind what it is about. */
async function onlyWarning(gateway: Gateway): Promise<string> {
  await until('a line has the reason', () => warnings(gateway).length > 0)
  assert.equal(warnings(gateway).length, 1, gateway.log())
  return warnings(gateway)[0]!
}

/** The node is alone: its own sockets get pushes, and those who push hear of it. */
async function servesItsOwn(gateway: Gateway): Promise<void> {
  const one = await listener(gateway, 'in/own')
  const pushed = await until('the node knows that it is alone, and answers immediately', async () => {
    const began = performance.now()
    const answer = await ask(gateway, 'POST', '/topics/own', { body: 'y' })
    return answer.status === 503 && performance.now() - began < 500 && answer
  })
  assert.equal(pushed.json.delivered, 1)
  assert.ok(Number(pushed.headers['retry-after']) > 0)
  assert.equal((await ask(gateway, 'POST', `/connections/${one.id}`, { body: 'to it' })).status, 200)
  const speaker = await open(`${gateway.ws}/ws/plain`)
  await speaker.next()
  speaker.socket.send('publish own published')
  await until('all arrive', () => ['y', 'to it', 'published'].every((frame) => one.received.includes(frame)))
  speaker.socket.terminate()
  leave(one)
}

/** Two nodes become one cluster. */
async function isOne(t: TestContext, redis: Redis, gateway: Gateway, url = urlOf(redis)): Promise<void> {
  const other = await startNode(t, { REDIS_URL: url })
  await nodesInRedis(redis, 2)
  const [a, b] = [await listener(gateway, 'in/one'), await listener(other, 'in/one')]
  await reaches(gateway, 'one', 2)
  await reaches(other, 'one', 2)
  leave(a, b)
}

test('a wrong password', async (t) => {
  const redis = await startRedis(t, { lines: ['requirepass right'] })
  const url = `redis://:changed@127.0.0.1:${redis.port}`
  const gateway = await startNode(t, { REDIS_URL: url })
  await servesItsOwn(gateway)
  assert.match(await onlyWarning(gateway), /the password is wrong: correct REDIS_URL/)
  await redis.ask('ACL', 'SETUSER', 'default', '>changed')
  await isOne(t, redis, gateway, url)
})

test('a replica that becomes the master', async (t) => {
  const master = await startRedis(t)
  const replica = await startReplica(t, master)
  const gateway = await startNode(t, { REDIS_URL: urlOf(replica) })
  await servesItsOwn(gateway)
  assert.match(await onlyWarning(gateway), /it is a replica, which takes no writes/)
  await replica.ask('REPLICAOF', 'NO', 'ONE')
  await isOne(t, replica, gateway)
})

// What Redis names in its refusal; of what a script calls it names nothing.
const FORBIDDEN = {
  subscribe: /SETUSER gate \+subscribe/,
  '@scripting': /\+eval/,
  publish: /a script/,
  pubsub: /a script/,
  pttl: /a script/,
}

for (const [command, reason] of Object.entries(FORBIDDEN))
  test(`an ACL without ${command}, from the start and later`, async (t) => {
    const redis = await startRedis(t)
    await redis.ask('ACL', 'SETUSER', 'gate', 'on', '>secret', '~*', '&*', '+@all', `-${command}`)
    const url = `redis://gate:secret@127.0.0.1:${redis.port}`
    const gateway = await startNode(t, { REDIS_URL: url })
    await servesItsOwn(gateway)
    assert.match(await onlyWarning(gateway), reason)
    await redis.ask('ACL', 'SETUSER', 'gate', `+${command}`)
    await isOne(t, redis, gateway, url)
    await redis.ask('ACL', 'SETUSER', 'gate', `-${command}`)
    await servesItsOwn(gateway)
    await redis.ask('ACL', 'SETUSER', 'gate', `+${command}`)
    const one = await listener(gateway, 'in/again')
    await reaches(gateway, 'again', 1)
    leave(one)
  })
