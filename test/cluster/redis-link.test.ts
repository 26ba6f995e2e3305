// The link of a worker to a real Redis: commands, pushes, and what happens when Redis goes away.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRedis } from '../support/redis.ts'
import { startLink } from '../support/redis-link.ts'
import { until } from '../support/wait.ts'

const RETURN_MS = 9000 // a pause of 1 s between two dials at most, and 1 s for each of two answers; three times that

const up = ['the link is up', (state: { is_up: boolean }) => state.is_up] as const

test('commands are answered in their order, over a unix socket and over TCP', async (t) => {
  const redis = await startRedis(t)
  for (const url of [
    `unix:${redis.path}?db=1`,
    `redis://localhost:${redis.port}/1`,
    `redis://127.0.0.1:${redis.port}/1`,
  ]) {
    const link = await startLink(t, { REDIS_URL: url })
    const state = await link.until(...up)
    assert.match(state.run_id!, /^[0-9a-f]{40}$/)
    assert.match(
      await redis.ask('CLIENT', 'LIST'),
      new RegExp(`id=${state.client_id} .*name=framegate-framegate .* db=1 .*resp=3`),
    )
    assert.deepEqual(await link.command('SET', 'key', 'a\r\n\0ü'), { is_queued: true, reply: 'OK', calls: 1 })
    assert.equal((await link.command('GET', 'key')).reply, 'a\r\n\0ü')
    assert.equal((await link.command('GET', 'nothing')).reply, null)
    assert.deepEqual((await link.command('HGETALL', 'nothing')).reply, {})
    const wrong = await link.command('INCR', 'key')
    assert.deepEqual([wrong.reply, (wrong.err as { code: string }).code, wrong.calls], [undefined, 'ERR', 1])
    const many = await Promise.all(Array.from({ length: 200 }, (_, i) => link.command('ECHO', i)))
    assert.deepEqual(
      many.map(({ reply }) => reply),
      Array.from({ length: 200 }, (_, i) => String(i)),
    )
    const large = 'x'.repeat(5_000_000)
    assert.equal((await link.command('ECHO', large)).reply, large)
    const after = await link.state()
    assert.deepEqual([after.waiting_bytes, after.reconnects, after.is_away], [0, 0, false])
    assert.ok(after.sent_bytes > 5_000_000 && after.received_bytes > 5_000_000 && after.sent_messages >= 206)
    assert.equal(await redis.ask('FLUSHALL'), '+OK\r\n')
  }
})

test('scripts run with keys and arguments, also after Redis has forgotten them', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `unix:${redis.path}` })
  await link.until(...up)
  const script = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}'
  for (const count of [1, 2]) assert.deepEqual((await link.eval(script, ['k'], ['a'])).reply, ['k', 'a', count])
  await redis.ask('SCRIPT', 'FLUSH')
  assert.deepEqual(await link.eval(script, ['k'], [7]), { is_queued: true, reply: ['k', '7', 3], calls: 1 })
  const stats = await redis.ask('INFO', 'commandstats')
  assert.ok(stats.includes('cmdstat_eval:calls=2,') && stats.includes('cmdstat_evalsha:calls=2,'), stats)
  assert.match(((await link.eval('return x', [], [])).err as { message: string }).message, /^ERR .*x/)
})

test('pushes come between replies, and a SUBSCRIBE is done when Redis has confirmed every channel', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `unix:${redis.path}` })
  await link.until(...up)
  assert.deepEqual(await link.subscribe('flood', 'other'), { is_queued: true, reply: true, calls: 1 })
  assert.equal((await link.state()).subscriptions, 2)
  assert.equal((await link.command('PUBLISH', 'other', 'one')).reply, 1)
  assert.deepEqual((await link.state()).pushes, [['other', 'one']])
  const { replies, lost, most } = await link.ask('/flood', 20_000, 10)
  assert.deepEqual([replies, lost], [20_000, 0])
  assert.ok(most > 20_000 * 40 && most < 20_000 * 60, `${most} bytes waited at the most`)
  await link.until('the last push has come', (state) => state.push_count >= 20_001)
  assert.equal((await link.state()).push_count, 20_001)
  const many = Array.from({ length: 2000 }, (_, i) => `c${i}`)
  assert.equal((await link.subscribe(...many)).reply, true)
  assert.equal((await link.state()).subscriptions, 2002)
  assert.equal((await link.unsubscribe(...many, 'other', 'never')).reply, true)
  assert.equal((await link.state()).subscriptions, 1)
  assert.equal((await link.subscribe()).reply, true)
  assert.equal((await link.command('PUBLISH', 'other', 'x')).reply, 0)
})

test('a Redis that is killed and comes back: commands are lost once, and the link is up again', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  await link.until(...up)
  await link.ask('/resubscribe', 'c1', 'c2')
  await link.command('SET', 'a', 1)
  const lost = link.command('BLPOP', 'nothing', 0) // a command without an answer, until Redis ends
  await until('Redis has the command', async () => (await redis.ask('INFO', 'clients')).includes('blocked_clients:1'))
  await redis.stop('SIGKILL')
  assert.deepEqual(await lost, { is_queued: true, err: 'lost', calls: 1 })
  const down = await link.until('the link is down', (state) => state.downs.length === 1)
  assert.deepEqual([down.is_up, down.is_away, down.subscriptions], [false, true, 0])
  assert.deepEqual(await link.command('PING'), { is_queued: false })
  await link.logged(/\[warn\] .*no link to Redis at 127\.0\.0\.1:\d+: nothing listens there: start Redis/)
  await redis.start()
  const state = await link.until('it is subscribed again', ({ subscriptions }) => subscriptions === 2, RETURN_MS)
  assert.deepEqual([state.ups, state.reconnects, state.downs.length], [2, 1, 1])
  assert.equal((await link.command('PING')).reply, 'PONG')
  assert.equal(link.log().match(/nothing listens there/g)!.length, 1)
  await link.logged(/\[info\] .*the link to Redis at 127\.0\.0\.1:\d+ is up again after \d+\.\d s/)
})

test('a connection that Redis ends is made again', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `unix:${redis.path}` })
  const { client_id } = await link.until(...up)
  await redis.ask('CLIENT', 'KILL', 'ID', String(client_id))
  const state = await link.until('it is up again', ({ ups, is_up }) => ups === 2 && is_up)
  assert.notEqual(state.client_id, client_id)
  assert.match(state.downs[0]!, /the connection ended/)
})

test('a Redis that stands still is away after 1 s, and the connection is broken after 2 s', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  await link.until(...up)
  redis.freeze()
  t.after(() => redis.thaw())
  const began = performance.now()
  const lost = link.command('PING')
  await link.until('the link is away', (state) => state.is_away && state.is_up)
  assert.ok(performance.now() - began >= 1000)
  assert.deepEqual(await lost, { is_queued: true, err: 'lost', calls: 1 })
  const seconds = (performance.now() - began) / 1000
  assert.ok(seconds >= 2 && seconds < 7, `broken after ${seconds} s`) // it is looked at every 0.25 s; three times that
  await link.logged(/no answer to a command within 2 s/)
  await link.logged(/connected, but no answer within 1 s/)
  redis.thaw()
  await link.until('it is up again', ({ ups, is_up }) => ups === 2 && is_up, RETURN_MS)
  assert.equal((await link.command('PING')).reply, 'PONG')
})

test('what Redis does not read breaks the connection, and a large backlog is shown', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  await link.until(...up)
  redis.freeze()
  t.after(() => redis.thaw())
  const flood = link.ask('/flood', 2000, 20_000)
  await link.until('bytes wait', (state) => state.waiting_bytes > 10_000_000)
  const { replies, lost } = await flood
  assert.deepEqual([replies, lost], [0, 2000])
  assert.equal((await link.state()).waiting_bytes, 0)
  redis.thaw()
  await link.until('it is up again', ({ ups, is_up }) => ups === 2 && is_up, RETURN_MS)
})

test('a worker that stood still itself does not break the connection', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `unix:${redis.path}` })
  await link.until(...up)
  const asked = link.command('BLPOP', 'list', 0)
  await until('Redis has the command', async () => (await redis.ask('INFO', 'clients')).includes('blocked_clients:1'))
  process.kill(link.worker, 'SIGSTOP')
  await redis.ask('LPUSH', 'list', 'x')
  await new Promise((resolve) => setTimeout(resolve, 3000)) // longer than the 2 s after which a connection is broken
  process.kill(link.worker, 'SIGCONT')
  assert.deepEqual((await asked).reply, ['list', 'x'])
  const { ups, downs } = await link.state()
  assert.deepEqual([ups, downs], [1, []])
})

test('a stop sends what waits, and the worker can leave', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `unix:${redis.path}` })
  await link.until(...up)
  await link.ask('/stop', 'SET', 'last', 'word')
  assert.deepEqual(await link.command('PING'), { is_queued: false })
  await link.until('the link is down', (state) => !state.is_up)
  assert.match(await redis.ask('GET', 'last'), /word/)
  assert.deepEqual((await link.state()).downs, [])
  await link.quit()
  assert.doesNotMatch(link.log(), /no link to Redis/)
})

test('a stop while Redis is away lets the worker leave, too', async (t) => {
  const redis = await startRedis(t)
  const link = await startLink(t, { REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  await link.until(...up)
  await redis.stop('SIGKILL')
  await link.logged(/nothing listens there/)
  await link.ask('/stop')
  await link.quit()
})
