// ReconnectingSocket in Node, with its own WebSocket and with that of ws, against a real gateway.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WebSocket as WsSocket } from 'ws'
import { Close } from '../../plugin/index.ts'
import { ReconnectingSocket, worthRetrying } from '../../web/client/reconnecting-socket.js'
import { startApp } from '../support/app.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startSwallowingProxy } from '../support/swallowing-proxy.ts'
import { until } from '../support/wait.ts'
import { Clock } from './fake.ts'

type Arguments = ConstructorParameters<typeof ReconnectingSocket>
type Options = NonNullable<Arguments[2]>

/** Short delays, and what came. It is closed when the test ends. */
function open(t: TestContext, url: Arguments[0], options: Options, protocols?: Arguments[1]) {
  const socket = new ReconnectingSocket(url, protocols, { min: 50, max: 200, ...options })
  t.after(() => socket.close())
  const messages: unknown[] = []
  const opens: unknown[] = []
  const states: string[] = []
  socket.onmessage = ({ data }) => messages.push(data)
  socket.onopen = ({ reconnected }) => opens.push(reconnected)
  socket.onstate = ({ detail }) => states.push(detail.state)
  const received = (count: number) => until(`${count} messages`, () => messages.length >= count && messages)
  return { socket, messages, opens, states, received }
}

const tokenOf = (query: unknown) => (query as { token?: string }).token

/** A handler that lets in who brings the newest token, and greets with it. */
async function startDoor(t: TestContext, gateway: Gateway) {
  const door = { token: 1, lets: 0, refuses: 0 }
  await startApp(t, gateway.handlerSocket, {
    routes(app) {
      app.ws('/ws/door', {
        open(request) {
          const isNewest = tokenOf(request.query) === String(door.token)
          door[isNewest ? 'lets' : 'refuses'] += 1
          if (isNewest) return
          throw new Close(4401, 'sign in again')
        },
        message(request, reply) {
          if (request.body === 'bye') reply.close(1000, 'bye')
          if (request.body === 'out') reply.close(4401, 'sign in again')
          return `${tokenOf(request.query)}: ${request.body}`
        },
      })
    },
  })
  return door
}

for (const [name, options] of [
  ['Node', {}],
  ['ws', { WebSocket: WsSocket }],
] as Array<[string, Options]>) {
  test(`${name}: the client against the gateway`, async (t) => {
    const gateway = await startGateway(t)
    await t.test('texts and bytes go out and come back', async (t) => {
      const { socket, received } = open(t, `${gateway.ws}/ws/echo`, options)
      socket.send('kept')
      socket.send(new Uint8Array([1, 2]))
      const [text, blob] = await received(2)
      assert.equal(text, 'kept')
      assert.deepEqual(new Uint8Array(await (blob as Blob).arrayBuffer()), new Uint8Array([1, 2]))
      socket.binaryType = 'arraybuffer'
      socket.send(new Blob(['three']))
      const [, , buffer] = await received(3)
      assert.equal(Buffer.from(buffer as ArrayBuffer).toString(), 'three')
      assert.deepEqual([socket.url, socket.protocol], [`${gateway.ws}/ws/echo`, ''])
    })

    await t.test('close ends it with the code that both sides agreed on', async (t) => {
      const { socket } = open(t, `${gateway.ws}/ws/echo`, options)
      await until('open', () => socket.readyState === 1)
      const closed = new Promise<any>((resolve) => socket.addEventListener('close', resolve))
      socket.close(4000, 'enough')
      const { code, reason, wasClean } = await closed
      assert.deepEqual([code, reason, wasClean, socket.readyState], [4000, '', true, 3])
    })

    for (const [how, end] of [
      ['stopped', () => gateway.quit()],
      ['killed', () => gateway.kill()],
    ] as const) {
      await t.test(`a gateway that is ${how} and started again gets what was sent in between, in order`, async (t) => {
        const { socket, messages, opens, states, received } = open(t, `${gateway.ws}/ws/echo`, options)
        await until('open', () => socket.readyState === 1)
        await end()
        await until('lost', () => socket.readyState === 0)
        for (const text of ['one', 'two', 'three']) socket.send(text)
        await until('it dials in vain', () => /connecting,waiting/.test(String(states)))
        assert.deepEqual(messages, [])
        await gateway.startAgain()
        assert.deepEqual(await received(3), ['one', 'two', 'three'])
        assert.deepEqual([opens, socket.bufferedAmount], [[false, true], 0])
      })
    }
  })
}

test('a function gives each dial a fresh token, and retry decides about a code of the application', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const door = await startDoor(t, gateway)
  let token = 1
  const { socket, received } = open(t, async () => `${gateway.ws}/ws/door?token=${token}`, {
    retry: (end) => end.code === 4401 || worthRetrying(end),
  })
  socket.send('hello')
  assert.deepEqual(await received(1), ['1: hello'])
  door.token = 2
  socket.send('out')
  await until('refused with the old token', () => door.refuses > 0)
  socket.send('kept')
  token = 2
  await until('let in with the new one', () => door.lets === 2 && socket.readyState === 1) // a refused one opens too
  socket.send('after it')
  await until('an answer', async () => (await received(1)).includes('2: after it'))
})

test('it stops for good after a close code that would come again', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const door = await startDoor(t, gateway)
  for (const [word, code] of [
    ['bye', 1000],
    ['out', 4401],
  ] as const) {
    const { socket } = open(t, `${gateway.ws}/ws/door?token=${door.token}`, {})
    const closed = new Promise<any>((resolve) => socket.addEventListener('close', resolve))
    socket.send(word)
    assert.equal((await closed).code, code)
    assert.equal(socket.state, 'closed')
  }
})

test('a refused handshake is tried again', async (t) => {
  const gateway = await startGateway(t)
  let path = '/ws/no-such-path'
  const errors: unknown[] = []
  const { socket, received } = open(t, () => `${gateway.ws}${path}`, {})
  socket.onerror = ({ type }) => errors.push(type)
  socket.send('kept')
  await until('two dials failed', () => errors.length >= 2)
  path = '/ws/echo'
  assert.deepEqual(await received(1), ['kept'])
})

test('a network that swallows packets is noticed by the answer that does not come', async (t) => {
  const gateway = await startGateway(t)
  const network = await startSwallowingProxy(t, gateway.port)
  const clock = new Clock()
  const url = `${network.url.replace('http', 'ws')}/ws/echo`
  const { socket, received, opens } = open(t, url, { answer: 300, clock })
  socket.send('one')
  assert.deepEqual(await received(1), ['one'])
  network.swallow()
  socket.send('lost')
  clock.advance(299)
  assert.equal(socket.state, 'open')
  await until('no answer came', () => {
    clock.advance(300) // once more while the bytes of the message leave
    return socket.state === 'waiting'
  })
  clock.advance(200)
  await until('reconnected', () => opens.length === 2)
  socket.send('two')
  assert.deepEqual(await received(2), ['one', 'two'], 'what was in flight is lost')
})
