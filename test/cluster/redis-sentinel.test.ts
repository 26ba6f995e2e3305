// With REDIS_SENTINELS the link follows the master that the Sentinels name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { FAILOVER_MS, startRedis, startReplica, startSentinel } from '../support/redis.ts'
import { startLink } from '../support/redis-link.ts'
import { until } from '../support/wait.ts'

test('the link goes to the new master after a failover', async (t) => {
  const master = await startRedis(t)
  const replica = await startReplica(t, master)
  const sentinel = await startSentinel(t, master, replica)
  const link = await startLink(t, {
    REDIS_URL: 'redis:///1',
    REDIS_SENTINELS: `127.0.0.1:${await freePort()},127.0.0.1:${sentinel.port}`,
    REDIS_MASTER: 'mymaster',
  })
  const { run_id } = await link.until('the link is up', (state) => state.is_up)
  assert.equal((await link.command('SET', 'a', 1)).reply, 'OK')
  await until('the replica has it', async () => (await link.command('WAIT', 1, 500)).reply === 1)
  await master.stop('SIGKILL')
  const state = await link.until('it is up again', ({ is_up, ups }) => is_up && ups === 2, FAILOVER_MS)
  assert.notEqual(state.run_id, run_id)
  assert.equal((await link.command('GET', 'a')).reply, '1')
  assert.match(await replica.ask('INFO', 'replication'), /role:master/)
})

test('Sentinels that do not know the master', async (t) => {
  const master = await startRedis(t)
  const sentinel = await startRedis(t, { watches: master })
  const [REDIS_SENTINELS, nobody] = [`127.0.0.1:${sentinel.port}`, await freePort()]
  const wrong = await startLink(t, { REDIS_SENTINELS, REDIS_MASTER: 'other' })
  await wrong.logged(
    /no link to Redis: no Sentinel names the master other \(127\.0\.0\.1:\d+: it knows no master of this name/,
  )
  const away = await startLink(t, { REDIS_SENTINELS: `127.0.0.1:${nobody}`, REDIS_MASTER: 'mymaster' })
  await away.logged(/no Sentinel names the master mymaster \(127\.0\.0\.1:\d+: nothing listens there/)
})
