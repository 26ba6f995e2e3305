// GET /nodes and `node` of connections: with two nodes, without a cluster, and while Redis is away.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway as Api } from '../../plugin/gateway/gateway.ts'
import { KILLED } from '../support/gateway.ts'
import { ask, controlSocket, join, joinMany, leave, pushGateway } from '../support/push-gateway.ts'
import { areUp, holderOf, nodesOf, startTwoNodes, untilNodes } from '../support/two-nodes.ts'

test('without a cluster there is one node, and no link', async (t) => {
  const gateway = await pushGateway(t, { NODE_NAME: 'alone' })
  const member = await join(gateway, 'news')
  const { cluster, link, nodes } = await nodesOf(gateway)
  assert.deepEqual([cluster, link, nodes.length], [null, null, 1])
  const { id, version, started, ...rest } = nodes[0]!
  assert.equal(id, member.id.slice(0, 4))
  assert.ok(version && Math.abs(Date.now() - Date.parse(started)) < 60_000)
  assert.deepEqual(rest, { name: 'alone', is_own: true, connections: 1, lease: null, is_up: null })
  const { json } = await ask(gateway, 'GET', '/connections')
  assert.equal(json.connections[0].node, undefined)
  assert.equal((await ask(gateway, 'GET', '/connections?node=alone')).json.count, 1)
  assert.equal((await ask(gateway, 'GET', '/connections?node=other')).json.count, 0)
  leave(member)
})

test('each node lists both, itself first, and connections name theirs', async (t) => {
  const { north, south } = await startTwoNodes(t)
  const [ann, ...guests] = [await join(north, 'news?user=ann'), ...(await joinMany(south, 'news', 3))]
  await untilNodes(north, 'the count of the other', ({ nodes }) => nodes[1]!.connections === 3)
  const { cluster, link, nodes } = await nodesOf(north)
  assert.equal(cluster, 'framegate')
  assert.deepEqual(
    nodes.map(({ id, name, is_own: isOwn, connections }) => [id, name, isOwn, connections]),
    [
      [ann!.id.slice(0, 4), 'north', true, 1],
      [guests[0]!.id.slice(0, 4), 'south', false, 3],
    ],
  )
  for (const { lease } of nodes) assert.ok(lease! > 0 && lease! <= 9, `${lease}`)
  assert.ok(link!.is_up && link!.reason === undefined && link!.down === undefined && link!.lease_age! < 6)
  assert.ok(link!.subscriptions >= 3 && link!.messages.in > 0 && link!.bytes.out > 0, JSON.stringify(link))

  const api = new Api({ url: `unix:${controlSocket(north)}` })
  t.after(() => api.end())
  const names = async (options: { node?: string; topic?: string }): Promise<Array<string | undefined>> => {
    const found: Array<string | undefined> = []
    for await (const { node } of api.everyConnection({ ...options, limit: 2 })) found.push(node)
    return found.sort()
  }
  assert.deepEqual(await names({}), ['north', 'south', 'south', 'south'])
  for (const topic of [undefined, 'news']) {
    const where = topic === undefined ? {} : { topic }
    assert.deepEqual(await names({ ...where, node: 'south' }), ['south', 'south', 'south'])
    assert.deepEqual(await names({ ...where, node: nodes[0]!.id }), ['north'])
    assert.deepEqual(await names({ ...where, node: 'nobody' }), [])
  }
  assert.equal((await api.connections({ node: 'south', limit: 1 })).count, 3)
  assert.equal((await api.connection(guests[0]!.id)).node, 'south')

  await south.quit()
  await untilNodes(north, 'the node that left is missing', (list) => list.nodes.length === 1)
  leave(ann!, ...guests)
})

test('while Redis is away the list says so and why, and the counters outlive the worker with the link', async (t) => {
  const { redis, north } = await startTwoNodes(t, { expect: [KILLED] })
  redis.freeze()
  const frozen = await untilNodes(north, 'the link is down', ({ link }) => !link!.is_up)
  // After 1 s, and after 2 s, when the connection is broken. Who stands still for a second sees only the second.
  assert.match(frozen.link!.reason!, /^Redis does not answer$|^no answer to a command within 2 s/)
  assert.deepEqual(
    frozen.nodes.map((node) => node.is_up),
    [false, null],
  )
  redis.thaw()
  await untilNodes(north, 'it is up again', areUp(2))

  await redis.stop()
  const stopped = await untilNodes(north, 'the reason is known', ({ link }) =>
    /nothing listens there/.test(link!.reason ?? ''),
  )
  assert.ok(!stopped.nodes[0]!.is_up)
  assert.equal((await ask(north, 'GET', '/connections')).status, 504)
  assert.equal((await ask(north, 'GET', `/connections?node=${stopped.nodes[0]!.id}`)).status, 200, 'its own list')
  await untilNodes(north, 'time passes', ({ link }) => link!.down! > 0.3)
  await redis.start()
  const { link } = await untilNodes(north, 'both are back', areUp(2))
  assert.ok(link!.reconnects >= 1 && link!.down === undefined && link!.reason === undefined)

  process.kill(await holderOf(north, redis), 'SIGKILL')
  const later = await untilNodes(
    north,
    'another holds it',
    (list) => areUp(2)(list) && list.link!.reconnects === link!.reconnects,
  )
  assert.ok(later.link!.bytes.in > link!.bytes.in && later.link!.messages.out > link!.messages.out)
})
