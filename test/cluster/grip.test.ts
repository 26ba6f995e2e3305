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
  await publish(gateway, { items: [{ ...items[0], id: '2', formats: { 'ws-message': { content: 'next' } } }] })
  assert.equal(await client.next(), 'next')
})
