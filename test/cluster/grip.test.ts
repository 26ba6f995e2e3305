// One publish in GRIP to any node reaches the subscribers of all nodes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publisher, WebSocketMessageFormat } from '@fanoutio/grip'
import { event, KEY, publish, type Raw, startGripGateway, startRawBackend } from '../grip/support.ts'
import { type Client, open } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { areUp, untilNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

test('messages, repeats, filters, refresh and close over two nodes', async (t) => {
  const orders = [
    { type: 'subscribe', channel: 'news', filters: ['skip-self'] },
    { type: 'set-meta', name: 'user', value: 'ann' },
  ].map((order) => event('TEXT', `c:${JSON.stringify(order)}`))
  const backend = await startRawBackend(t, ({ body }) =>
    body === 'OPEN\r\n'
      ? { headers: { 'sec-websocket-extensions': 'grip' }, body: body + orders.join('') }
      : { body: body === '' ? event('TEXT', 'm:asked') : '' },
  )
  const redis = await startRedis(t)
  const start = (name: string) =>
    startGripGateway(t, backend.url, { env: { REDIS_URL: `redis://127.0.0.1:${redis.port}`, NODE_NAME: name } })
  const nodes = await Promise.all([start('north'), start('south')])
  for (const node of nodes) await untilNodes(node, 'both nodes are up', areUp(2))
  const [north, south] = nodes
  const clients: Client[] = []
  for (const node of nodes) for (let i = 0; i < 3; i++) clients.push(await open(`${node.ws}/ws/a`))
  const all = (): Promise<unknown[]> => Promise.all(clients.map((client) => client.next()))
  const six = (value: string): string[] => Array(6).fill(value)

  await new Publisher({ control_uri: north.control, control_iss: 'x', key: KEY }).publishFormats(
    'news',
    new WebSocketMessageFormat('hello'),
  )
  assert.deepEqual(await all(), six('hello'))
  const item = { channel: 'news', id: '1', formats: { 'ws-message': { content: 'once' } } }
  for (const node of [north, south, south]) assert.equal((await publish(node, { items: [item] })).status, 200)
  const ofAnn = { ...item, id: '2', meta: { sender: 'ann' }, formats: { 'ws-message': { content: 'not to herself' } } }
  assert.equal((await publish(south, { items: [ofAnn] })).status, 200)
  const act = (format: object): Promise<{ status: number }> =>
    publish(south, { items: [{ channel: 'news', formats: { 'ws-message': format } }] })
  assert.equal((await act({ action: 'refresh' })).status, 200)
  assert.deepEqual(await all(), six('once'))
  assert.deepEqual(await all(), six('asked'), 'and nothing between the two')
  assert.equal((await act({ action: 'close', code: 4004 })).status, 200)
  for (const client of clients) assert.equal((await client.closed).code, 4004)
  const isClose = ({ body }: Raw): boolean => body === 'CLOSE 2\r\n\x0f\xa4\r\n'
  await until('the backend hears of all', () => backend.requests.filter(isClose).length === 6)
})

test('a node that cannot be reached is a 503, and the repeat reaches it alone', async (t) => {
  const backend = await startRawBackend(t, ({ body }) => ({
    headers: { 'sec-websocket-extensions': 'grip' },
    body: body === 'OPEN\r\n' ? body + event('TEXT', 'c:{"type":"subscribe","channel":"news"}') : '',
  }))
  const redis = await startRedis(t)
  const env = { REDIS_URL: `redis://127.0.0.1:${redis.port}`, CLUSTER_WAIT: '100ms' }
  const gateway = await startGripGateway(t, backend.url, { env, expect: [/Redis/] })
  await untilNodes(gateway, 'it is up', areUp(1))
  const client = await open(`${gateway.ws}/ws/a`)
  await redis.stop()
  const items = [{ channel: 'news', id: '1', formats: { 'ws-message': { content: 'while Redis is away' } } }]
  await until('it knows that Redis is away', async () => (await publish(gateway, { items })).status === 503)
  assert.equal(await client.next(), 'while Redis is away')
  await publish(gateway, { items })
  const next = { ...items[0], id: '2', 'prev-id': '1', formats: { 'ws-message': { content: 'next' } } }
  for (const what of ['the item', 'its repeat, which waits for nothing'])
    assert.equal((await publish(gateway, { items: [next] })).status, 503, what)
  assert.equal(await client.next(), 'next')
})

test('an item waits for the one before it, whichever node has got that one', async (t) => {
  const channels = ['news', 'kept']
  const backend = await startRawBackend(t, ({ body }) => ({
    headers: { 'sec-websocket-extensions': 'grip' },
    body:
      body === 'OPEN\r\n'
        ? body + channels.map((channel) => event('TEXT', `c:{"type":"subscribe","channel":"${channel}"}`)).join('')
        : '',
  }))
  const redis = await startRedis(t)
  const start = (name: string) =>
    startGripGateway(t, backend.url, {
      env: { REDIS_URL: `redis://127.0.0.1:${redis.port}`, NODE_NAME: name, HISTORY: 'kept=100/10m' },
    })
  const [north, south, west] = await Promise.all([start('north'), start('south'), start('west')])
  const nodes = [north, south, west]
  for (const node of nodes) await untilNodes(node, 'all nodes are up', areUp(3))
  const clients = [await open(`${north.ws}/ws/a`), await open(`${south.ws}/ws/a`)] // and none at the third
  const send = async (node: typeof north, channel: string, id: number): Promise<void> => {
    const formats = { 'ws-message': { content: `${channel} ${id}` } }
    const item = { channel, id: `${channel} ${id}`, 'prev-id': `${channel} ${id - 1}`, formats }
    assert.equal((await publish(node, { items: [item] })).status, 200)
  }
  for (const channel of channels) {
    await send(north, channel, 1)
    for (const [node, id] of [
      [west, 6],
      [south, 3],
      [west, 4],
      [north, 5],
      [west, 2],
    ] as const)
      await send(node, channel, id)
    for (const client of clients) {
      const got: unknown[] = []
      while (got.length < 6) got.push(await client.next())
      assert.deepEqual(
        got,
        [1, 2, 3, 4, 5, 6].map((id) => `${channel} ${id}`),
      )
    }
  }
})
