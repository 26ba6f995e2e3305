// The command framegate in a cluster: nodes in `status`, and the node of each connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandFor } from '../push/command.ts'
import { join, leave } from '../support/push-gateway.ts'
import { areUp, startTwoNodes, untilNodes } from '../support/two-nodes.ts'

test('status and connections show the nodes, and that Redis is away', async (t) => {
  const { redis, north, south } = await startTwoNodes(t)
  const command = commandFor(north)
  const [ann, bob] = [await join(north, 'news?user=ann'), await join(south, 'news?user=bob')]
  await untilNodes(north, 'the other has a socket', ({ nodes }) => nodes[1]!.connections === 1)

  const up = (await command(['status'])).stdout
  assert.match(up, /^cluster +framegate, 2 nodes$/m)
  assert.match(up, /^redis +the link to Redis is up, 0 reconnects, \d+ subscriptions, \d+ requests? in flight$/m)
  assert.match(up, /^NODE +ID +AGE +SOCKETS +LEASE +LINK +VERSION$/m)
  assert.match(up, /^north \(this one\) +\S{4} +\d+ (s|min) +1 +\d\.\d s +up +\d/m)
  assert.match(up, /^south +\S{4} +\d+ (s|min) +1 +\d\.\d s +up +\d/m)
  const json = JSON.parse((await command(['status', '--json'])).stdout)
  assert.deepEqual([json.cluster, json.nodes.length, json.link.is_up, json.workers.length], ['framegate', 2, true, 2])

  const all = (await command(['connections', '--sort', 'node'])).stdout.split('\n')
  assert.match(all[0]!, /^ID +NODE +USER +ADDRESS /)
  assert.deepEqual(
    all.slice(1, 3).map((line) => line.split(/ +/).slice(0, 3)),
    [
      [ann.id, 'north', 'ann'],
      [bob.id, 'south', 'bob'],
    ],
  )
  const some = (await command(['connections', '--node', 'south', '--topic', 'news'])).stdout
  assert.ok(some.includes(bob.id) && some.endsWith('\n1 connection\n'), some)

  await redis.stop()
  await untilNodes(north, 'the reason is known', ({ link }) => /nothing listens/.test(link!.reason ?? ''))
  const down = (await command(['status'])).stdout
  assert.match(down, /^redis +THE LINK TO REDIS IS DOWN for \d+ s: nothing listens there: start Redis/m)
  assert.match(down, /^north \(this one\) .* DOWN /m)
  assert.match(down, /^south .* unknown /m)
  const part = await command(['connections'])
  assert.equal(part.stderr, 'framegate: a worker or a node did not answer: what it holds is missing from this list\n')
  assert.ok(part.stdout.includes(ann.id) && part.stdout.endsWith('\n1 connection\n'), part.stdout)
  const topics = await command(['topics', '--json'])
  assert.deepEqual(JSON.parse(topics.stdout), { topics: [{ topic: 'news', count: 1 }] })
  assert.deepEqual([part.status, topics.status], [1, 1])
  await redis.start()
  await untilNodes(north, 'both are back', areUp(2))
  leave(ann, bob)
})
