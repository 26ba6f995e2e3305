// Effects of a handler, as headers and as a document.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import test from 'node:test'
import type { FastifyReply } from 'fastify'
import { Close } from '../../plugin/index.ts'
import { buildApp, effectsIn, event } from './support.ts'

/** The answer of a message whose handler does this. */
async function answerOf(t: test.TestContext, handler: (reply: FastifyReply) => unknown, headers = {}) {
  const app = await buildApp(t)
  app.ws('/ws/x', { message: async (_request, reply) => handler(reply as FastifyReply) })
  return app.inject(event('message', '/ws/x', 'hi', headers))
}

test('a few effects are headers, and the body stays the frame', async (t) => {
  const answer = await answerOf(t, (reply) => {
    reply.subscribe('a', 'b,c').unsubscribe('d').close(4001, 'so long')
    reply.state = 'café "%'
    reply.user = 'Ada'
    return 'bye'
  })
  assert.equal(answer.body, 'bye')
  const {
    'ws-subscribe': subscribe,
    'ws-unsubscribe': unsubscribe,
    'ws-close': close,
    'ws-state': state,
    'ws-user': user,
  } = answer.headers
  assert.deepEqual(
    { subscribe, unsubscribe, close, state, user },
    {
      subscribe: 'a, b%2Cc',
      unsubscribe: 'd',
      close: '4001 so%20long',
      state: 'caf%C3%A9%20%22%25',
      user: 'Ada',
    },
  )
})

test('of two headers for one topic the later wins', async (t) => {
  const answer = await answerOf(t, (reply) => {
    reply.subscribe('a', 'b').unsubscribe('a')
  })
  assert.deepEqual([answer.headers['ws-subscribe'], answer.headers['ws-unsubscribe']], ['b', 'a'])
})

test('frames and publications make a document, in order, the body last and the close behind it', async (t) => {
  const answer = await answerOf(t, (reply) => {
    reply
      .subscribe('a')
      .close(1000)
      .publish('a', { n: 1 }, { except: 'self' })
      .frame(Buffer.from([0xff]))
      .frame('one')
    reply.publish('b', new Uint8Array([1, 2]))
    reply.unsubscribe('c')
    reply.state = null
    reply.user = 'Ada'
    return { last: true }
  })
  assert.deepEqual(effectsIn(answer), [
    { subscribe: ['a'] },
    { publish: { topic: 'a', text: '{"n":1}', except: 'self' } },
    { send: { base64: '/w==' } },
    { send: { text: 'one' } },
    { publish: { topic: 'b', base64: 'AQI=' } },
    { unsubscribe: ['c'] },
    { state: '' },
    { user: 'Ada' },
    { send: { text: '{"last":true}' } },
    { close: { code: 1000, reason: '' } },
  ])
  assert.equal(answer.headers['ws-close'], undefined)
})

test('effects of more than 2 KB make a document', async (t) => {
  const topics = Array.from({ length: 100 }, (_, i) => `topic-number-${i}-of-many`)
  assert.deepEqual(
    effectsIn(
      await answerOf(t, (reply) => {
        reply.subscribe(...topics)
      }),
    ),
    [{ subscribe: topics }],
  )
})

test('whatever the body is, it is the last frame of the document', async (t) => {
  const bodies: [unknown, unknown][] = [
    [Buffer.from([0xff]), { base64: '/w==' }],
    [Readable.from([Buffer.from([1]), Buffer.from([2])]), { base64: 'AQI=' }],
    [new Response('hé', { status: 201, headers: { 'content-type': 'text/plain' } }), { text: 'hé' }],
    [new Response('hé').body, { base64: 'aMOp' }],
    ['', { text: '' }],
    [Buffer.alloc(0), { base64: '' }],
  ]
  for (const [body, frame] of bodies) {
    assert.deepEqual(
      effectsIn(
        await answerOf(t, (reply) => {
          reply.frame('x')
          return body
        }),
      ),
      [{ send: { text: 'x' } }, { send: frame }],
    )
  }
  const nothing = await answerOf(t, (reply) => {
    reply.frame('x')
  })
  assert.deepEqual(effectsIn(nothing), [{ send: { text: 'x' } }])
  const noContent = await answerOf(t, (reply) => {
    reply.frame('x').code(204)
  })
  assert.deepEqual([noContent.statusCode, effectsIn(noContent)], [200, [{ send: { text: 'x' } }]])
})

test('an error keeps the effects that were asked for, and its body is a frame', async (t) => {
  const answer = await answerOf(t, (reply) => {
    reply.publish('a', 'b')
    throw new Error('broken')
  })
  assert.equal(answer.statusCode, 500)
  const [publish, send] = effectsIn(answer) as [unknown, { send: { text: string } }]
  assert.deepEqual(publish, { publish: { topic: 'a', text: 'b' } })
  assert.equal(JSON.parse(send.send.text).message, 'broken')
})

test('reply.state is what the gateway carries, then what was assigned; reply.user what was assigned', async (t) => {
  const app = await buildApp(t)
  const seen: unknown[] = []
  app.ws('/ws/x', {
    message: async (_request, reply) => {
      seen.push(reply.state, reply.user)
      reply.state = 'new'
      reply.user = 'Ada'
      seen.push(reply.state, reply.user)
      reply.state = null
      seen.push(reply.state)
    },
  })
  const answer = await app.inject(event('message', '/ws/x', 'hi', { 'ce-state': 'o%20ld' }))
  assert.deepEqual(seen, ['o ld', null, 'new', 'Ada', null])
  assert.equal(answer.headers['ws-state'], '')
  await app.inject(event('message', '/ws/x', 'hi'))
  assert.equal(seen[5], null)
})

test('effects work in hooks and in plain routes', async (t) => {
  const app = await buildApp(t)
  app.addHook('preHandler', async (_request, reply) => {
    reply.subscribe('hook')
  })
  app.addHook('onSend', async (_request, _reply, payload) =>
    typeof payload === 'string' ? payload.toUpperCase() : payload,
  )
  app.post('/ws/plain', async (_request, reply) => reply.frame('one').send('two'))
  app.ws('/ws/x', { message: async () => 'three' })
  const plain = await app.inject(event('message', '/ws/plain', 'hi'))
  assert.deepEqual(effectsIn(plain), [{ subscribe: ['hook'] }, { send: { text: 'one' } }, { send: { text: 'TWO' } }])
  const socket = await app.inject(event('message', '/ws/x', 'hi'))
  assert.deepEqual([socket.headers['ws-subscribe'], socket.body], ['hook', 'THREE'])
})

test('an open that is refused is a plain HTTP answer', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    open: async (_request, reply) => reply.frame('x').subscribe('a').code(401).send({ error: 'who are you' }),
  })
  const answer = await app.inject(event('open', '/ws/x'))
  assert.deepEqual([answer.statusCode, answer.json()], [401, { error: 'who are you' }])
  assert.equal(answer.headers['ws-subscribe'], undefined)
})

test('a subscription with history, and a publication that replaces', async (t) => {
  const headers = await answerOf(t, (reply) => {
    reply.subscribe('a;1', { last: 50 }).subscribe('b', 'c').subscribe('d', { after: 'e.1.2', else: 'last', last: 3 })
  })
  assert.equal(headers.headers['ws-subscribe'], 'a%3B1;last=50, b, c, d;last=3;after=e.1.2;else=last')
  const unsubscribed = await answerOf(t, (reply) => {
    reply.subscribe('a', { last: 1 }).unsubscribe('a')
  })
  assert.deepEqual([unsubscribed.headers['ws-subscribe'], unsubscribed.headers['ws-unsubscribe']], [undefined, 'a'])
  const document = await answerOf(t, (reply) => {
    reply.subscribe('a', { last: 50 }).publish('b', 'x', { replace: 'btc' })
  })
  assert.deepEqual(effectsIn(document), [
    { subscribe: [{ topic: 'a', last: 50 }] },
    { publish: { topic: 'b', text: 'x', replace: 'btc' } },
  ])
})

test('values that cannot be sent are refused with clear words', async (t) => {
  const long = 'é'.repeat(128)
  const faults: [(reply: FastifyReply) => unknown, RegExp][] = [
    [(reply) => reply.subscribe(''), /RangeError: topic must be 1 to 255 bytes of UTF-8, got 0/],
    [(reply) => reply.publish(long, 'x'), /RangeError: topic must be 1 to 255 bytes of UTF-8, got 256/],
    [(reply) => reply.unsubscribe(7 as never), /TypeError: topic must be a string, got number/],
    [
      (reply) => reply.publish('a', undefined as never),
      /TypeError: a frame must be a string, bytes or something JSON can hold, got undefined/,
    ],
    [(reply) => reply.publish('a', 'b', { except: 'me' as never }), /TypeError: except can only be 'self', got me/],
    [(reply) => reply.publish('a', 'b', { replace: '' }), /RangeError: replace must be 1 to 255 bytes of UTF-8, got 0/],
    [(reply) => reply.subscribe('a', { last: 0 }), /RangeError: last must be a whole number from 1, got 0/],
    [(reply) => reply.subscribe('a', { after: 1 as never }), /TypeError: after must be a position, got number/],
    [(reply) => reply.subscribe('a', { else: 'last' }), /TypeError: else can only be 'last' or 'none', beside after/],
    [(reply) => reply.close(1001), /RangeError: close code must be 1000 or 3000-4999, got 1001/],
    [
      (reply) => reply.close(4000, 'é'.repeat(62)),
      /RangeError: close reason must be at most 123 bytes of UTF-8, got 124/,
    ],
    [
      (reply) => {
        reply.state = 'x'.repeat(4097)
      },
      /RangeError: state must be at most 4096 bytes of UTF-8, got 4097/,
    ],
    [
      (reply) => {
        reply.state = {} as never
      },
      /TypeError: state must be a string or null, got object/,
    ],
    [
      (reply) => {
        reply.user = ''
      },
      /RangeError: user must be 1 to 255 bytes of UTF-8, got 0/,
    ],
  ]
  for (const [act, expected] of faults) {
    let thrown: unknown
    await answerOf(t, (reply) => {
      try {
        act(reply)
      } catch (error) {
        thrown = error
      }
    })
    assert.match(String(thrown), expected)
  }
})

test('a state of 4096 bytes and a reason of 123 pass', async (t) => {
  const state = 'x'.repeat(4096)
  const answer = await answerOf(t, (reply) => {
    reply.state = state
    reply.close(4999, 'x'.repeat(123))
  })
  assert.deepEqual(effectsIn(answer), [{ state }, { close: { code: 4999, reason: 'x'.repeat(123) } }])
})

test('Close is a 403 with ws-close, from a hook and from a handler', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/hook', {
    onRequest: async () => {
      throw new Close(4401, 'sign in, é')
    },
  })
  app.ws('/ws/handler', {
    open() {
      throw new Close(1000)
    },
    message: async () => {
      throw new Close(4999, 'x')
    },
  })
  const hook = await app.inject(event('open', '/ws/hook'))
  assert.deepEqual(
    [hook.statusCode, hook.headers['ws-close'], hook.json().message],
    [403, '4401 sign%20in,%20%C3%A9', 'sign in, é'],
  )
  assert.equal((await app.inject(event('open', '/ws/handler'))).headers['ws-close'], '1000')
  assert.equal((await app.inject(event('message', '/ws/handler', 'hi'))).headers['ws-close'], '4999 x')
})

test('Close keeps its code under an error handler of the app, and joins a document', async (t) => {
  const app = await buildApp(t)
  app.setErrorHandler((error, _request, reply) => reply.code(500).send({ oops: (error as Error).message }))
  app.ws('/ws/x', {
    open: async (_request, reply) => {
      reply.publish('log', 'refused')
      throw new Close(4403, 'no')
    },
    message: async (_request, reply) => {
      reply.subscribe('a').close(1000)
      throw new Close(4403, 'no')
    },
  })
  const open = await app.inject(event('open', '/ws/x'))
  assert.deepEqual(effectsIn(open), [
    { publish: { topic: 'log', text: 'refused' } },
    { close: { code: 4403, reason: 'no' } },
  ])
  assert.equal((await app.inject(event('message', '/ws/x', 'hi'))).headers['ws-close'], '4403 no')
})

test('Close takes only codes and reasons that a close frame can hold', () => {
  for (const code of [999, 1001, 1005, 1006, 2999, 5000, 4000.5, NaN, '4000' as never])
    assert.throws(() => new Close(code), RangeError)
  for (const code of [1000, 3000, 4999]) assert.equal(new Close(code).closeCode, code)
  assert.throws(() => new Close(4000, 'x'.repeat(124)), RangeError)
})
