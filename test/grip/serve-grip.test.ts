/** The unmodified packages @fanoutio/serve-grip and @fanoutio/grip: a backend that ran behind Pushpin runs behind framegate. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publisher, parseGripUri, validateSig, type WebSocketContext, WebSocketMessageFormat } from '@fanoutio/grip'
import { Client, open } from '../support/client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { KEY, type Seen, startBackend, startGripGateway } from './support.ts'

/** Does what the messages of the client name. A socket subscribes to its own path. */
function obey(context: WebSocketContext, { path }: Seen): void {
  if (context.isOpening()) {
    context.accept()
    context.subscribe(path)
    context.meta.user = 'ann'
  }
  while (context.canRecv()) {
    const message = context.recvRaw()
    if (message === null) return
    if (message instanceof Uint8Array) context.sendBinary(message)
    else ORDERS[message.split(' ')[0]!]?.(context, message.split(' ').slice(1).join(' '), path)
  }
}

const ORDERS: Record<string, (context: WebSocketContext, rest: string, path: string) => void> = {
  say: (context, rest) => context.send(rest),
  meta: (context) => context.send(JSON.stringify(context.meta)),
  set: (context, rest) => {
    const [name, value] = rest.split('=')
    if (value) context.meta[name!] = value
    else delete context.meta[name!]
    context.send('set')
  },
  leave: (context, _, path) => {
    context.unsubscribe(path)
    context.send('left')
  },
  control: (context, rest) => {
    context.sendControl(rest)
    context.send('done')
  },
  detach: (context) => {
    context.send('no more questions')
    context.detach()
  },
  close: (context, rest) => context.close(rest ? Number(rest) : undefined),
  drop: (context) => {
    context.send('the last one')
    context.disconnect()
  },
}

/** One gateway for all of these, which run side by side. */
test('sockets of a backend that uses serve-grip', async (t) => {
  const backend = await startBackend(t, obey)
  const gateway = await startGripGateway(t, backend.url)
  await Promise.all([
    t.test('an open, messages of both kinds, subscriptions and publishes', async () => {
      const client = await open(`${gateway.ws}/ws/chat/1?b=c`, { headers: { cookie: 'a=b', 'x-own': 'mine' } })
      assert.equal(await client.ask('say hello'), 'hello')
      assert.equal(await client.ask('say '), '')
      assert.deepEqual(await client.ask(Buffer.from([0, 255, 13, 10])), Buffer.from([0, 255, 13, 10]))
      const { headers, path, isProxied } = backend.seen.find(({ headers }) => headers['x-own'])!
      assert.deepEqual([path, isProxied, headers.cookie, headers['x-own']], ['/ws/chat/1?b=c', true, 'a=b', 'mine'])
      assert.equal(await validateSig(String(headers['grip-sig']), KEY, 'pushpin'), true)
      assert.equal(await validateSig(String(headers['grip-sig']), 'another key', 'pushpin'), false)

      const publisher = new Publisher(parseGripUri(`${gateway.control}/?iss=pushpin&key=${KEY}`))
      await publisher.publishFormats('/ws/chat/1?b=c', new WebSocketMessageFormat('to all'))
      assert.equal(await client.next(), 'to all')
      await publisher.publishFormats('/ws/chat/1?b=c', new WebSocketMessageFormat(new Uint8Array([1, 2, 255])))
      assert.deepEqual(await client.next(), Buffer.from([1, 2, 255]))
      assert.equal(await client.ask('leave'), 'left')
      await publisher.publishFormats('/ws/chat/1?b=c', new WebSocketMessageFormat('for nobody'))
      assert.equal(await client.ask('say still here'), 'still here')
      await client.close()
    }),

    t.test('meta values come back, and end with an empty value', async () => {
      const client = await open(`${gateway.ws}/ws/meta`, { headers: { 'meta-user': 'root', 'Meta-Role': 'admin' } })
      assert.deepEqual(JSON.parse(String(await client.ask('meta'))), { user: 'ann' }, 'a client cannot set them')
      await client.ask('set Color=dark red')
      assert.deepEqual(JSON.parse(String(await client.ask('meta'))), { user: 'ann', color: 'dark red' })
      await client.ask('set user=')
      assert.deepEqual(JSON.parse(String(await client.ask('meta'))), { color: 'dark red' })
      await client.close()
      const last = await backend.request(
        'the close',
        ({ path, types }) => path === '/ws/meta' && types.includes('CLOSE'),
      )
      assert.deepEqual(last.context.meta, { color: 'dark red' })
    }),

    t.test('closes by both sides, with a code and without', async () => {
      const closing = async (path: string): Promise<WebSocketContext> =>
        (await backend.request(`the close of ${path}`, (seen) => seen.path === path && seen.types.includes('CLOSE')))
          .context
      for (const [i, [code, heard]] of [
        [4001, 4001],
        [undefined, null],
      ].entries()) {
        const client = await open(`${gateway.ws}/ws/client/${i}`)
        await client.close(code ?? undefined)
        assert.equal((await closing(`/ws/client/${i}`)).closeCode, heard)
      }
      for (const [order, code] of [
        ['close 4002', 4002],
        ['close', 1000],
        ['close 1011', 1011],
      ] as const) {
        const client = await open(`${gateway.ws}/ws/${code}`)
        client.socket.send(order)
        assert.equal((await client.closed).code, code, order)
        assert.equal((await closing(`/ws/${code}`)).closeCode, code)
      }
    }),

    t.test(
      'a socket that its backend drops has no close frame, and one whose client vanishes is a DISCONNECT',
      async () => {
        const dropped = await open(`${gateway.ws}/ws/dropped`)
        assert.equal(await dropped.ask('drop'), 'the last one')
        assert.equal((await dropped.closed).code, 1006)
        const vanished = await open(`${gateway.ws}/ws/vanished`)
        await vanished.ask('set color=red')
        vanished.socket.terminate()
        const last = await backend.request(
          'it is gone',
          ({ path, types }) => path.endsWith('vanished') && types.length === 1 && types[0] === 'DISCONNECT',
        )
        assert.deepEqual(last.context.meta, { user: 'ann', color: 'red' })
      },
    ),

    t.test('a backend that has detached gets CLOSE once, and its socket gets publishes', async () => {
      const requests = (): Seen[] => backend.seen.filter(({ path }) => path === '/ws/detached')
      const client = await open(`${gateway.ws}/ws/detached`)
      assert.equal(await client.ask('detach'), 'no more questions')
      await until('the backend is let go', () => requests().length === 3)
      assert.deepEqual([requests()[2]!.types, requests()[2]!.context.closeCode], [['CLOSE'], null])
      client.socket.send('say hello')
      await control(gateway, 'POST', `/topics/${encodeURIComponent('/ws/detached')}`, 'still subscribed')
      assert.equal(await client.next(), 'still subscribed')
      await client.close(4009)
      const hasEnded = ({ code }: { code: number }): boolean => code === 4009
      await until('it has ended', async () => (await control(gateway, 'GET', '/closes')).json.closes.some(hasEnded))
      const other = await open(`${gateway.ws}/ws/other`)
      await other.ask('say later')
      assert.equal(requests().length, 3)
      await other.close()
    }),
    t.test(
      'messages that the gateway sends later: keep-alive when idle, at intervals, delayed and flushed',
      async () => {
        const order = async (client: Client, fields: Record<string, unknown>): Promise<void> => {
          client.socket.send(`control ${JSON.stringify(fields)}`)
          while ((await client.next()) !== 'done'); // a keep-alive may come before
        }
        const client = await open(`${gateway.ws}/ws/a`)
        await order(client, { type: 'keep-alive', content: 'are you there?', timeout: 0.2 })
        assert.equal(await client.next(), 'are you there?')
        assert.equal(await client.next(), 'are you there?')
        await order(client, { type: 'keep-alive' })
        await order(client, {
          type: 'keep-alive',
          'content-bin': 'AAH/',
          'message-type': 'binary',
          timeout: 0.2,
          mode: 'interval',
        })
        assert.deepEqual(await client.next(), Buffer.from([0, 1, 255]))
        await order(client, { type: 'keep-alive', content: '', 'message-type': 'ping', timeout: 0.2 })
        await until('a ping comes', () => client.pings > 0)
        await order(client, { type: 'keep-alive' })

        await order(client, { type: 'send-delayed', content: 'first', timeout: 3600 })
        client.socket.send(`control ${JSON.stringify({ type: 'send-delayed', content: 'second', timeout: 3600 })}`)
        assert.deepEqual(
          [await client.next(), await client.next()],
          ['first', 'done'],
          'a new one sends the one before',
        )
        client.socket.send(`control ${JSON.stringify({ type: 'flush-delayed' })}`)
        assert.deepEqual([await client.next(), await client.next()], ['second', 'done'])
        await order(client, { type: 'send-delayed', content: 'third' })
        assert.equal(await client.next(), 'third')
        await order(client, { type: 'nonsense' })
        await order(client, { type: 'subscribe', channel: '' })
        await client.close()
      },
    ),
  ])
})

test('a backend that does not accept answers the handshake itself', async (t) => {
  const backend = await startBackend(t, (context) => void context)
  const gateway = await startGripGateway(t, backend.url, { expect: [/its first event is not OPEN/] })
  await assert.rejects(new Client(`${gateway.ws}/ws/a`).opened, /502/)
})
