// Alarms and timers: what `reply.alarm` writes, and which handler an event reaches.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Type } from 'typebox'
import { buildApp, effectsIn, event } from './support.ts'

test('reply.alarm is a header with decimals, or an effect of a document; the last one counts', async (t) => {
  const app = await buildApp(t)
  const texts = new Map([
    [30, '30'],
    [1.5, '1.5'],
    [100, '100'],
    [0, '0'],
    [1e-9, '0.000001'],
    [31_536_000, '31536000'],
  ])
  app.ws('/ws/x', {
    message: (request, reply) => void reply.alarm(7).alarm(Number(request.body)),
    open: (_request, reply) => void reply.alarm(2.5).frame('one'),
  })
  for (const [seconds, text] of texts) {
    const answer = await app.inject(event('message', '/ws/x', String(seconds)))
    assert.equal(answer.headers['ws-alarm'], text)
  }
  assert.deepEqual(effectsIn(await app.inject(event('open', '/ws/x'))), [{ alarm: 2.5 }, { send: { text: 'one' } }])
})

test('an alarm is 0 to a year', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', { message: (request, reply) => void reply.alarm(JSON.parse(String(request.body))) })
  for (const bad of ['-1', '31536001', '"30"', 'null']) {
    const answer = await app.inject(event('message', '/ws/x', bad))
    assert.equal(answer.statusCode, 500)
    assert.match(answer.body, /alarm must be/)
    assert.equal(answer.headers['ws-alarm'], undefined)
  }
})

test('an alarm reaches its handler, whose answer goes through schema.reply; without one it is answered', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/clock/:player', {
    schema: { params: Type.Object({ player: Type.String() }), reply: Type.Object({ late: Type.String() }) },
    alarm(request, reply) {
      assert.equal(request.event.type, 'alarm')
      reply.alarm(5)
      return { late: request.params.player, hidden: true } as { late: string }
    },
  })
  app.ws('/ws/none', {})
  const answer = await app.inject(event('alarm', '/ws/clock/Ada', undefined, { 'ce-eventnumber': '3' }))
  assert.deepEqual(answer.json(), { late: 'Ada' })
  assert.equal(answer.headers['ws-alarm'], '5')
  const silent = await app.inject(event('alarm', '/ws/none'))
  assert.deepEqual([silent.statusCode, silent.body, silent.headers['content-type']], [200, '', undefined])
})

test('a route with only a timer gets that, and no socket', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/timers/tick', {
    timer(request, reply) {
      assert.equal(request.event.type, 'timer')
      reply.publish('news', { at: request.event.time })
    },
  })
  app.ws('/ws/both', { timer() {}, open() {} })
  const time = '2026-11-20T10:00:00.000Z'
  const answer = await app.inject(event('timer', '/ws/timers/tick', undefined, { 'ce-time': time }))
  assert.deepEqual(effectsIn(answer), [{ publish: { topic: 'news', text: JSON.stringify({ at: time }) } }])
  assert.equal((await app.inject(event('open', '/ws/timers/tick'))).statusCode, 404)
  assert.equal((await app.inject(event('open', '/ws/both'))).statusCode, 200)
  assert.equal((await app.inject(event('timer', '/ws/both'))).statusCode, 200)
})
