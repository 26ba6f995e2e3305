/** POST /publish: the unmodified publisher of @fanoutio/grip, who may publish, what is refused, order, repeats and filters. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IGripConfig, Item, Publisher, WebSocketMessageFormat } from '@fanoutio/grip'
import { type Client, open } from '../support/client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { event, KEY, publish, type Raw, type RawAnswer, startGripGateway, startRawBackend, TOKEN } from './support.ts'

const text = (channel: string, content: string, more: Record<string, unknown> = {}): object => ({
  channel,
  formats: { 'ws-message': { content } },
  ...more,
})

/** A socket subscribes to its path; the query names its user and filters. */
function answer({ path, body }: Raw): RawAnswer {
  const { pathname, searchParams } = new URL(path, 'http://backend')
  const orders = [
    { type: 'set-meta', name: 'user', value: searchParams.get('user') ?? '' },
    { type: 'subscribe', channel: pathname, filters: searchParams.getAll('filter') },
    ...searchParams.getAll('also').map((channel) => ({ type: 'subscribe', channel })),
  ]
  const events = orders.map((order) => event('TEXT', `c:${JSON.stringify(order)}`))
  return body === 'OPEN\r\n'
    ? { headers: { 'sec-websocket-extensions': 'grip' }, body: body + events.join('') }
    : { body: body === '' ? event('TEXT', 'm:asked') : '' }
}

async function nexts(client: Client, count: number): Promise<string[]> {
  const all: string[] = []
  while (all.length < count) all.push(String(await client.next()))
  return all
}

test('publishes', async (t) => {
  const backend = await startRawBackend(t, answer)
  const gateway = await startGripGateway(t, backend.url, { env: { WORKERS: '3', MAX_MESSAGE_BYTES: '1k' } })
  const at = (path: string): Promise<Client> => open(gateway.ws + path)

  await Promise.all([
    t.test('the publisher signs in with a key, a JWT of it, or the token; nobody else may', async () => {
      const client = await at('/ws/keys')
      const control_uri = gateway.control
      const good: IGripConfig[] = [
        { control_uri, key: KEY },
        { control_uri: `${control_uri}/`, control_iss: 'somebody', key: KEY },
        { control_uri, key: TOKEN },
      ]
      for (const [i, config] of good.entries()) {
        await new Publisher(config).publishFormats('/ws/keys', new WebSocketMessageFormat(`message ${i}`))
        assert.equal(await client.next(), `message ${i}`)
      }
      const bad: IGripConfig[] = [
        { control_uri },
        { control_uri, key: 'another key' },
        { control_uri, control_iss: 'somebody', key: 'another key' },
        { control_uri, user: 'ann', pass: KEY },
      ]
      for (const config of bad)
        await assert.rejects(
          new Publisher(config).publishFormats('/ws/keys', new WebSocketMessageFormat('no')),
          (error: { context: { statusCode: number } }) => error.context.statusCode === 401,
        )
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
      const unsigned = `${part({ alg: 'none' })}.${part({ exp: Date.now() })}.`
      assert.equal((await publish(gateway, { items: [] }, { token: unsigned })).status, 401)
      for (const path of ['/topics/%2Fws%2Fkeys', '/publish/x', '/publisher', '/batch'])
        assert.equal((await publish(gateway, '[]', { path })).status, 401, path)
      await client.close()
    }),
    t.test('the answer is Published, in the type that is accepted', async () => {
      for (const [accept, type, body] of [
        ['*/*', 'text/plain', 'Published\n'],
        ['application/json', 'application/json', '{"message":"Published"}\n'],
        ['text/html, application/json;q=0.9', 'application/json', '{"message":"Published"}\n'],
      ] as const) {
        for (const path of ['/publish', '/publish/'])
          assert.deepEqual(await publish(gateway, { items: [] }, { accept, path }), { status: 200, text: body, type })
      }
      assert.equal((await publish(gateway, { items: [] }, { accept: 'image/png' })).status, 406)
    }),
    t.test('what is wrong is refused in words, and nothing of it is published', async () => {
      const client = await at('/ws/wrong')
      const formats = (format: unknown): object => ({
        items: [text('/ws/wrong', 'no'), { channel: 'x', formats: { 'ws-message': format } }],
      })
      const wrong: Array<[unknown, number, RegExp]> = [
        ['{', 400, /the body is not valid JSON/],
        ['[]', 400, /the body is \{/],
        [{ items: 'x' }, 400, /the body is/],
        [' '.repeat(16 * 1024 * 1024 + 1), 413, /at most 16777216 bytes/],
        [{ items: Array(1001).fill(text('x', 'x')) }, 413, /at most 1000 items/],
        [{ items: [text('/ws/wrong', 'no'), 5] }, 400, /item 2: an item is an object/],
        [{ items: [{ formats: {} }] }, 400, /item 1: channel is 1 to 255 bytes/],
        [{ items: [{ channel: 'x' }] }, 400, /no formats specified/],
        [{ items: [text('x', 'x', { id: 5 })] }, 400, /id and prev-id are texts/],
        [{ items: [text('x', 'x', { meta: { a: 1 } })] }, 400, /the values of meta are texts/],
        [formats('hello'), 400, /a format is an object/],
        [formats({}), 400, /content is a text/],
        [formats({ 'content-bin': '!' }), 400, /content is a text/],
        [formats({ 'content-bin': '/w==', type: 'text' }), 400, /UTF-8/],
        [formats({ content: 'x', type: 'ping' }), 400, /type is text or binary/],
        [formats({ content: 'x', action: 'dance' }), 400, /action is send, close/],
        [formats({ content: 'x', 'content-filters': ['a'] }), 400, /content-filters/],
        [formats({ action: 'close', code: '1000' }), 400, /code is a number/],
        [formats({ content: 'x'.repeat(1025) }), 413, /MAX_MESSAGE_BYTES/],
      ]
      for (const [body, status, words] of wrong) {
        const { status: got, text: problem } = await publish(gateway, body)
        assert.deepEqual(
          [got, words.test(problem)],
          [status, true],
          `${JSON.stringify(body).slice(0, 100)}: ${problem}`,
        )
      }
      const old = { channel: '/ws/wrong', 'ws-message': { content: 'as older publishers do' }, id: null }
      const others = {
        channel: '/ws/wrong',
        formats: { 'http-stream': { content: 'x' }, 'http-response': { code: '200' } },
      }
      assert.equal((await publish(gateway, { items: [others, old] })).status, 200)
      assert.equal(await client.next(), 'as older publishers do', 'and nothing before')
      assert.equal(
        (await fetch(`${gateway.control}/publish/`, { headers: { authorization: `Bearer ${TOKEN}` } })).status,
        405,
      )
      await client.close()
    }),
    t.test('close, refresh and hint', async () => {
      const clients = await Promise.all(Array.from({ length: 5 }, () => at('/ws/actions')))
      const act = (format: object): Promise<{ status: number }> =>
        publish(gateway, { items: [{ channel: '/ws/actions', formats: { 'ws-message': format } }] })
      assert.equal((await act({ action: 'hint' })).status, 200)
      assert.equal((await act({ action: 'refresh' })).status, 200)
      for (const client of clients) assert.equal(await client.next(), 'asked')
      assert.equal((await act({ action: 'close', code: 4003, reason: 'over' })).status, 200)
      for (const client of clients) assert.deepEqual(await client.closed, { code: 4003, reason: 'over' })
      const isClose = ({ path, body }: Raw): boolean => path === '/ws/actions' && body.startsWith('CLOSE')
      await until('the backend hears of them', () => backend.requests.filter(isClose).length === 5)

      const other = await at('/ws/without-code')
      await new Publisher({ control_uri: gateway.control, key: KEY }).publishFormats(
        '/ws/without-code',
        new WebSocketMessageFormat(null, true),
      )
      assert.equal((await other.closed).code, 1000)
    }),
    t.test('a repeat of an id is not published again', async () => {
      const client = await at('/ws/repeats')
      const publisher = new Publisher({ control_uri: gateway.control, key: KEY })
      const send = (content: string, id: string): Promise<void> =>
        publisher.publish('/ws/repeats', new Item(new WebSocketMessageFormat(content), id))
      await send('one', '1')
      await send('one again', '1')
      await send('two', '2')
      assert.deepEqual(await nexts(client, 2), ['one', 'two'])
      await client.close()
    }),
    t.test('an item waits for the one before it, whichever worker has got it, and not for ever', async () => {
      const client = await at('/ws/order')
      const send = (id: number, previous: number, more = {}): Promise<{ status: number }> =>
        publish(gateway, { items: [text('/ws/order', `${id}`, { id: `${id}`, 'prev-id': `${previous}`, ...more })] })
      await send(1, 0)
      for (const id of [5, 3, 4]) assert.equal((await send(id, id - 1)).status, 200, 'it does not wait for the others')
      await send(9, 8, { 'no-seq': true })
      await send(2, 1)
      assert.deepEqual(await nexts(client, 6), ['1', '9', '2', '3', '4', '5'])
      await send(8, 7)
      assert.equal(await client.next(), '8', 'after 5 s without it')
      await client.close()
    }),
    t.test('filters: not to the sender, not to some users, only to those with another subscription', async () => {
      const plain = await at('/ws/filters?user=ann')
      const self = await at('/ws/filters?user=ann&filter=skip-self')
      const users = await at('/ws/filters?user=bob&filter=skip-users&filter=unknown')
      const subscribed = await at('/ws/filters?user=eve&filter=require-sub&also=premium')
      const other = await at('/ws/filters?user=kim&filter=require-sub')
      const send = (content: string, meta: object): Promise<object> =>
        publish(gateway, { items: [text('/ws/filters', content, { meta })] })
      await send('from ann', { sender: 'ann' })
      await send('not to bob', { skip_users: 'kim, bob' })
      await send('premium', { require_sub: 'premium' })
      await send('all', { sender: 'zoe', skip_users: 'zoe' })
      const all = ['from ann', 'not to bob', 'premium', 'all']
      const without = (left: string): string[] => all.filter((one) => one !== left)
      assert.deepEqual(await nexts(plain, 4), all)
      assert.deepEqual(await nexts(self, 3), without('from ann'))
      assert.deepEqual(await nexts(users, 3), without('not to bob'))
      assert.deepEqual(await nexts(subscribed, 4), all)
      assert.deepEqual(await nexts(other, 3), without('premium'))
      await control(gateway, 'POST', '/topics/%2Fws%2Ffilters', 'by the control API')
      assert.equal(await self.next(), 'by the control API')
      for (const client of [plain, self, users, subscribed, other]) client.socket.terminate()
    }),
  ])
})

test('the key that everybody knows opens nothing', async (t) => {
  const backend = await startRawBackend(t, answer)
  const gateway = await startGripGateway(t, backend.url, { env: { GRIP_KEY: '' } })
  assert.equal((await publish(gateway, { items: [] }, { token: 'changeme' })).status, 401)
  assert.equal((await publish(gateway, { items: [] }, { token: TOKEN })).status, 200)
})
