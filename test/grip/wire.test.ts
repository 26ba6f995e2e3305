/** WebSocket-over-HTTP, byte by byte: the acceptance list of Pushpin's own tests, and where a gateway that is almost compatible fails. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, open } from '../support/client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { afterOpen, event, publish, type Raw, type RawAnswer, startGripGateway, startRawBackend } from './support.ts'

const GRIP = { 'sec-websocket-extensions': 'grip' }

/** What the backend answers, by path. */
const ANSWERS: Record<string, (raw: Raw) => RawAnswer> = {
  '/ws/echo': afterOpen({}, ({ body }) => ({ body: body === 'TEXT 5\r\nhello\r\n' ? 'TEXT 5\r\nworld\r\n' : body })),
  '/ws/parts': afterOpen({}, ({ body }) => {
    if (body === 'TEXT b\r\n[foo][hello\r\n') return { headers: { 'content-bytes-accepted': '5' } }
    return { body: body === 'TEXT 6\r\n[hello\r\nTEXT 7\r\n world]\r\n' ? 'TEXT 4\r\n[ok]\r\n' : 'TEXT 3\r\nbad\r\n' }
  }),
  '/ws/close': afterOpen({}, ({ body }) => ({
    body: body.startsWith('TEXT') ? 'CLOSE 6\r\n\x0f\xa1bye!\r\nTEXT 1\r\nx\r\n' : body,
  })),
  '/ws/bare-close': afterOpen({}, () => ({ body: 'CLOSE\r\n' })),
  '/ws/zero': afterOpen({}, () => ({ body: 'CLOSE 2\r\n\0\0\r\n' })),
  '/ws/twice': afterOpen({}, () => ({ body: 'TEXT 4\r\nlast\r\nOPEN\r\nTEXT 1\r\nx\r\n' })),
  '/ws/prefix': afterOpen({ 'sec-websocket-extensions': 'x, grip; message-prefix="\\"p\\":"' }, () => ({
    body: 'TEXT 5\r\n"p":a\r\nTEXT 3\r\nm:b\r\nBINARY 5\r\n"p":c\r\nPING 2\r\nhi\r\nTEXT 4\r\n"p":\r\nWHAT 1\r\nx\r\nTEXT 5\r\n"p":d\r\n',
  })),
  '/ws/plain': afterOpen({}, () => ({
    body: 'TEXT 18\r\nc:{"type":"detach"}\n\n\n\n\n\r\nTEXT\r\nTEXT 0\r\n\r\nBINARY 3\r\nm:x\r\n',
  })),
  '/ws/at-once': () => ({
    headers: GRIP,
    body: `OPEN\r\n${event('TEXT', 'c:{"type":"subscribe","channel":"at-once"}')}${event('TEXT', 'm:first')}${event('BINARY', 'm:2')}`,
  }),
  '/ws/html': afterOpen({}, () => ({ headers: { 'content-type': 'text/html' }, body: 'TEXT 1\r\nx\r\n' })),
  '/ws/parameter': afterOpen({}, () => ({
    headers: { 'content-type': 'application/websocket-events; charset=utf-8' },
    body: 'TEXT 1\r\nx\r\n',
  })),
  '/ws/error': afterOpen({}, () => ({ status: 500, body: 'failed' })),
  '/ws/garbled': afterOpen({}, () => ({ body: 'TEXT 5\r\nhello' })),
  '/ws/greedy': afterOpen({}, () => ({ headers: { 'content-bytes-accepted': '6' } })),
  '/ws/refused': () => ({
    status: 403,
    headers: { 'x-why': 'because', 'content-type': 'text/plain' },
    body: 'not you',
  }),
  '/ws/page': () => ({ headers: { 'content-type': 'text/html' }, body: 'a page' }),
  '/ws/agreed': () => ({
    headers: { ...GRIP, 'set-cookie': ['a=1', 'b=2'], 'sec-websocket-protocol': 'chat', 'set-meta-x': '1' },
    body: 'OPEN\r\n',
  }),
  '/ws/polled': ({ body }) =>
    body === 'OPEN\r\n'
      ? {
          headers: { ...GRIP, 'keep-alive-interval': '1' },
          body: body + event('TEXT', 'c:{"type":"subscribe","channel":"polled"}'),
        }
      : { body: event('TEXT', 'm:poll') },
}

test('bytes', async (t) => {
  const backend = await startRawBackend(t, (raw) => ANSWERS[raw.path.split('?')[0]!]!(raw))
  const gateway = await startGripGateway(t, backend.url, {
    env: { MAX_MESSAGE_BYTES: '100' },
    expect: [/its first event is not OPEN/],
  })
  const at = (path: string): Promise<Client> => open(`${gateway.ws}/ws/${path}`)
  const bodies = (path: string): string[] =>
    backend.requests.filter((raw) => raw.path === `/ws/${path}`).map(({ body }) => body)

  await Promise.all([
    t.test('OPEN is answered with OPEN, and each message is an event', async () => {
      const client = await at('echo')
      assert.equal(await client.ask('hello'), 'world')
      assert.equal(await client.ask(''), '')
      assert.equal(await client.ask('ü\r\n'), 'ü\r\n')
      const bytes = Buffer.from([0, 13, 10, 255])
      assert.deepEqual(await client.ask(bytes), bytes)
      assert.deepEqual(await client.close(4001, 'because'), { code: 4001, reason: '' })
      await until('the close', () => bodies('echo').length === 6)
      assert.deepEqual(bodies('echo'), [
        'OPEN\r\n',
        'TEXT 5\r\nhello\r\n',
        'TEXT 0\r\n\r\n',
        'TEXT 4\r\n\xc3\xbc\r\n\r\n',
        'BINARY 4\r\n\0\r\n\xff\r\n',
        'CLOSE 9\r\n\x0f\xa1because\r\n',
      ])
    }),
    t.test('what the backend has not accepted comes again with the next message', async () => {
      const client = await at('parts')
      client.socket.send('[foo][hello')
      assert.equal(await client.ask(' world]'), '[ok]')
      const [, first, second] = backend.requests.filter(({ path }) => path === '/ws/parts')
      assert.equal(first!.headers['content-bytes-replayed'], undefined)
      assert.equal(second!.headers['content-bytes-replayed'], '6')
      assert.equal(await client.ask('again'), 'bad', 'and not a third time')
      assert.equal(bodies('parts').at(-1), 'TEXT 5\r\nagain\r\n')
      await client.close()
    }),
    t.test('the backend closes: with code and reason, without, with 0; what follows does not count', async () => {
      for (const [path, closed] of [
        ['close', { code: 4001, reason: 'bye!' }],
        ['bare-close', { code: 1005, reason: '' }],
        ['zero', { code: 1000, reason: '' }],
      ] as const) {
        const client = await at(path)
        client.socket.send('go')
        assert.deepEqual(await client.closed, closed, path)
      }
      const lasts = ['CLOSE 2\r\n\x0f\xa1\r\n', 'CLOSE\r\n', 'CLOSE 2\r\n\x03\xe8\r\n']
      for (const [i, path] of ['close', 'bare-close', 'zero'].entries()) {
        await until(`the close of ${path}`, () => bodies(path).length === 3)
        assert.equal(bodies(path)[2], lasts[i], 'the code that the backend chose')
      }
    }),
    t.test('a second OPEN, a page, an error, garbage: no close frame, and what came before arrives', async () => {
      const twice = await at('twice')
      assert.equal(await twice.ask('go'), 'last')
      assert.equal((await twice.closed).code, 1006)
      for (const path of ['html', 'parameter', 'error', 'garbled', 'greedy']) {
        const client = await at(path)
        client.socket.send('hello')
        assert.equal((await client.closed).code, 1006, path)
        await until(`the end of ${path}`, () => bodies(path).at(-1) === 'DISCONNECT\r\n')
      }
    }),
    t.test('a prefix of its own; without it nothing passes, but for pings', async () => {
      const client = await at('prefix')
      client.socket.send('go')
      assert.deepEqual(
        [await client.next(), await client.next(), await client.next(), await client.next()],
        ['a', Buffer.from('c'), '', 'd'],
      )
      assert.equal(client.pings, 1)
      await client.close()
    }),
    t.test('without the extension everything is a message', async () => {
      const client = await at('plain')
      client.socket.send('go')
      assert.equal(await client.next(), 'c:{"type":"detach"}\n\n\n\n\n')
      assert.deepEqual([await client.next(), await client.next(), await client.next()], ['', '', Buffer.from('m:x')])
      await client.close()
    }),
    t.test('what follows OPEN counts at once', async () => {
      const client = new Client(`${gateway.ws}/ws/at-once`)
      assert.deepEqual([await client.next(), await client.next()], ['first', Buffer.from('2')])
      await client.close()
    }),
    t.test('a refusal is the client’s answer, with status, headers and body', async () => {
      for (const [path, status, body] of [
        ['refused', 403, 'not you'],
        ['page', 200, 'a page'],
      ] as const) {
        const client = new Client(`${gateway.ws}/ws/${path}`)
        const response = await new Promise<any>((resolve) =>
          client.socket.once('unexpected-response', (_, answer) => resolve(answer)),
        )
        let text = ''
        for await (const chunk of response) text += chunk
        assert.deepEqual([response.statusCode, text], [status, body])
        if (status === 403) assert.equal(response.headers['x-why'], 'because')
        assert.deepEqual(bodies(path), ['OPEN\r\n'], 'nothing is owed')
      }
    }),
    t.test('headers of the handshake and of the protocol', async () => {
      const client = new Client(`${gateway.ws}/ws/agreed?a=b`, {
        protocols: ['chat'],
        perMessageDeflate: true,
        headers: {
          accept: 'text/html',
          'accept-language': 'de',
          'connection-id': 'mine',
          'meta-user': 'root',
          meta_user: 'root',
          'grip-sig': 'forged',
          'content-bytes-replayed': '5',
          'ce-type': 'framegate.close',
          te: 'trailers',
          'x-forwarded-for': '1.2.3.4',
          'x-own': 'mine',
        },
      })
      const upgrade = await new Promise<any>((resolve) => client.socket.once('upgrade', resolve))
      await client.opened
      assert.deepEqual(upgrade.headers['set-cookie'], ['a=1', 'b=2'])
      assert.equal(upgrade.headers['sec-websocket-protocol'], 'chat')
      assert.equal(upgrade.headers['set-meta-x'], undefined)
      assert.match(upgrade.headers['sec-websocket-extensions'], /^permessage-deflate/)
      await client.close()
      const { headers } = await backend.request(
        'the close',
        ({ path, body }) => path === '/ws/agreed?a=b' && body !== 'OPEN\r\n',
      )
      const key = headers['sec-websocket-key']
      const { 'grip-sig': signature, 'connection-id': id, 'user-agent': _, ...others } = headers
      assert.match(String(signature), /^[\w-]+\.[\w-]+\.[\w-]+$/)
      assert.match(String(id), /^[\w-]{32}$/)
      assert.ok(key)
      assert.deepEqual(others, {
        accept: 'application/websocket-events',
        'accept-encoding': 'identity',
        'accept-language': 'de',
        'content-length': '7',
        'content-type': 'application/websocket-events',
        'grip-feature': 'filter:skip-self, filter:skip-users, filter:require-sub',
        host: `127.0.0.1:${gateway.port}`,
        'meta-x': '1',
        'sec-websocket-extensions': 'grip',
        'sec-websocket-key': key,
        'sec-websocket-protocol': 'chat',
        'sec-websocket-version': '13',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-host': `127.0.0.1:${gateway.port}`,
        'x-forwarded-proto': 'http',
        'x-own': 'mine',
      })
    }),
    t.test(
      'a silent socket is asked about without events: after 20 s at least, or when somebody publishes a refresh',
      async () => {
        const client = await at('polled')
        const { connections } = (await control(gateway, 'GET', '/connections')).json
        const { alarm } = connections.find(({ path }: { path: string }) => path === '/ws/polled')
        assert.ok(alarm > 10 && alarm <= 20, `in ${alarm} s`)
        const refresh = { items: [{ channel: 'polled', formats: { 'ws-message': { action: 'refresh' } } }] }
        assert.equal((await publish(gateway, refresh)).text, 'Published\n')
        assert.equal(await client.next(), 'poll')
        assert.deepEqual(bodies('polled'), ['OPEN\r\n', ''])
        await client.close()
      },
    ),
  ])
})
