// Sessions: what a route allows is a header of its answer to open, and two more events reach their handlers.
import assert from 'node:assert/strict'
import test from 'node:test'
import type { SessionOption } from '../../plugin/index.ts'
import { buildApp, effectsIn, event } from './support.ts'

test('session is a header of the answer to open alone, beside a document too', async (t) => {
  const app = await buildApp(t)
  const values: [SessionOption, string][] = [
    [90, '90'],
    ['90', '90'],
    ['90s', '90'],
    ['2m', '120'],
    ['1h', '3600'],
    [{ keep: '2m' }, '120'],
    [{ keep: 5, check: true }, '5;check'],
  ]
  for (const [i, [session]] of values.entries())
    app.ws(`/ws/${i}`, { session, open: (_request, reply) => void reply.frame('one'), message() {} })
  app.ws('/ws/plain', {})
  for (const [i, [, header]] of values.entries()) {
    const answer = await app.inject(event('open', `/ws/${i}`))
    assert.deepEqual([answer.headers['ws-session'], answer.headers['ws-batch']], [header, '1'])
    assert.deepEqual(effectsIn(answer), [{ send: { text: 'one' } }])
    assert.equal((await app.inject(event('message', `/ws/${i}`, 'x'))).headers['ws-session'], undefined)
  }
  assert.equal((await app.inject(event('open', '/ws/plain'))).headers['ws-session'], undefined)
})

test('a handler of detach or resume is notified, and asked only where check is set', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/detach', { session: '1m', detach() {} })
  app.ws('/ws/resume', { session: '1m', resume() {} })
  app.ws('/ws/check', { session: { keep: '1m', check: true }, resume() {} })
  for (const [name, header] of [
    ['detach', '60;notify'],
    ['resume', '60;notify'],
    ['check', '60;check'],
  ])
    assert.equal((await app.inject(event('open', `/ws/${name}`))).headers['ws-session'], header)
})

test('detach and resume reach their handlers; without one they are answered', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/x', {
    session: '1m',
    detach: (request, reply) => void reply.publish('room', request.event.type),
    resume() {
      throw Object.assign(new Error('sign in'), { statusCode: 401 })
    },
  })
  app.ws('/ws/none', {})
  assert.deepEqual(effectsIn(await app.inject(event('detach', '/ws/x'))), [
    { publish: { topic: 'room', text: 'detach' } },
  ])
  assert.equal((await app.inject(event('resume', '/ws/x'))).statusCode, 401)
  for (const kind of ['detach', 'resume'] as const)
    assert.equal((await app.inject(event(kind, '/ws/none'))).statusCode, 200)
})

test('a time that is none is refused when the route is made', async (t) => {
  const app = await buildApp(t)
  for (const session of [0, -1, 1.5, '', '0s', '2 m', '1d', 'm', Number.NaN, { keep: '' }])
    assert.throws(() => app.ws('/ws/x', { session }), { name: 'TypeError' }, JSON.stringify(session))
})
