// Why there is no link to Redis: one line for each reason, with what to do, and never the password.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { startRedis, startReplica } from '../support/redis.ts'
import { type RedisLink, startLink } from '../support/redis-link.ts'
import { until } from '../support/wait.ts'

const PASSWORD = 'pa55:w/rd@'
const ENCODED = encodeURIComponent(PASSWORD)

/**
 * Waits for the reason, and checks that repeated attempts log it once. Two attempts may fail in two ways that both fit, such as
 * by the end of the connection and by a reset: each is a line.
 */
async function assertReason(link: RedisLink, reason: RegExp): Promise<void> {
  const state = await link.until(`the reason ${reason}`, (now) => reason.test(now.reason ?? ''))
  assert.deepEqual([state.is_up, state.is_away, state.ups, state.downs], [false, true, 0, []])
  const lines = (): string[] =>
    link
      .log()
      .split('\n')
      .filter((line) => line.includes('no link to Redis'))
  await until('it is logged', () => lines().some((line) => reason.test(line)))
  const texts = lines().map((line) => line.slice(line.indexOf('no link to Redis')))
  assert.deepEqual(texts, [...new Set(texts)], link.log())
  assert.match(lines()[0]!, /\[warn\] .*\[gateway\] no link to Redis at \S+: /)
  assert.ok(!link.log().includes('pa55'), 'no line has the password')
}

/** A server that answers every piece that comes with the same bytes, or ends the connection. */
async function startFake(
  t: TestContext,
  answer: (text: string) => string | undefined,
): Promise<{ port: number; dials: () => number }> {
  let dials = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    dials += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const text = answer(data.toString())
      if (text === undefined) socket.destroy()
      else socket.write(text)
    })
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port, dials: () => dials }
}

test('a wrong password, an unknown user, and no password', async (t) => {
  const redis = await startRedis(t, { lines: ['requirepass right'] })
  const at = `127.0.0.1:${redis.port}`
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://:${ENCODED}@${at}` }),
    /the password is wrong: correct REDIS_URL/,
  )
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://nobody:${ENCODED}@${at}` }),
    /the user nobody is unknown or disabled, or the password is wrong/,
  )
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://${at}` }),
    /it wants a password: use redis:\/\/:PASSWORD@HOST/,
  )
  const link = await startLink(t, { REDIS_URL: `redis://:right@${at}/15` })
  await link.until('the right one is taken', (state) => state.is_up)
  await assertReason(await startLink(t, { REDIS_URL: `redis://:right@${at}/16` }), /it has no database 16/)
})

test('a Redis that is too old may repeat the password in its answer', async (t) => {
  const old = await startFake(t, (text) =>
    text.includes('HELLO')
      ? `-ERR unknown command \`HELLO\`, with args beginning with: \`3\`, \`AUTH\`, \`default\`, \`${PASSWORD}\`, \r\n`
      : '',
  )
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://:${ENCODED}@127.0.0.1:${old.port}` }),
    /older than Redis 6, which is needed: upgrade/,
  )
  const strange = await startFake(t, () => `-ERR what is ${PASSWORD}?\r\n`)
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://:${ENCODED}@127.0.0.1:${strange.port}` }),
    /it answers: ERR what is …\?/,
  )
  const five = await startFake(
    t,
    () => '%4\r\n+version\r\n+5.0.9\r\n+role\r\n+master\r\n+mode\r\n+standalone\r\n+id\r\n:1\r\n',
  )
  await assertReason(await startLink(t, { REDIS_URL: `redis://127.0.0.1:${five.port}` }), /older than Redis 6/)
})

test('what is not Redis at all', async (t) => {
  const http = await startFake(t, () => 'HTTP/1.1 400 Bad Request\r\n\r\n')
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://127.0.0.1:${http.port}` }),
    /what answers there is not Redis: correct REDIS_URL/,
  )
  const closing = await startFake(t, () => undefined)
  const began = performance.now()
  const link = await startLink(t, { REDIS_URL: `redis://127.0.0.1:${closing.port}` })
  await assertReason(link, /the connection ended before an answer/)
  await until('it is dialled more and more rarely', () => closing.dials() >= 6)
  // The pauses double from 0.1 s to 1 s, and each is shortened to a half at the most.
  assert.ok(performance.now() - began > (100 + 200 + 400 + 800 + 1000) / 2 - 10)
})

test('an address where nothing is', async (t) => {
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://127.0.0.1:${await freePort()}` }),
    /nothing listens there: start Redis/,
  )
  await assertReason(await startLink(t, { REDIS_URL: 'unix:/nowhere/redis.sock' }), /no such socket file/)
  await assertReason(await startLink(t, { REDIS_URL: 'redis://-x-' }), /the name -x- has no address/)
})

test('a replica, a Sentinel and a node of a Redis Cluster', async (t) => {
  const master = await startRedis(t)
  const replica = await startReplica(t, master)
  await assertReason(
    await startLink(t, { REDIS_URL: `unix:${replica.path}` }),
    /it is a replica, which takes no writes: name the master/,
  )
  const sentinel = await startRedis(t, { watches: master })
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://127.0.0.1:${sentinel.port}` }),
    /it is a Sentinel: name it in REDIS_SENTINELS/,
  )
  // The default port of its bus is 10000 above its own, and may be taken.
  const node = await startRedis(t, { lines: ['cluster-enabled yes', `cluster-port ${await freePort()}`] })
  await assertReason(await startLink(t, { REDIS_URL: `unix:${node.path}` }), /node of a Redis Cluster/)
})

test('a master that becomes a replica ends the link at the next write', async (t) => {
  const [redis, other] = [await startRedis(t), await startRedis(t)]
  const link = await startLink(t, { REDIS_URL: `unix:${redis.path}` })
  await link.until('the link is up', (state) => state.is_up)
  await redis.ask('REPLICAOF', '127.0.0.1', String(other.port))
  assert.equal(((await link.command('SET', 'a', 1)).err as { code: string }).code, 'READONLY')
  await link.until('it is down', ({ reason }) => /it is a replica/.test(reason ?? ''))
  await redis.ask('REPLICAOF', 'NO', 'ONE')
  await link.until('it is up again', ({ is_up, ups }) => is_up && ups === 2)
  assert.equal((await link.command('SET', 'a', 1)).reply, 'OK')
})

test('an ACL that forbids a command, a channel or a key', async (t) => {
  const redis = await startRedis(t, {
    lines: [
      'user gateway on >secret ~framegate:* &framegate:* +info +get +set +subscribe +publish',
      'user blind on >secret ~* &* +get',
    ],
  })
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://blind:secret@127.0.0.1:${redis.port}` }),
    /the ACL of the user blind forbids the command info: allow it with ACL SETUSER blind \+info/,
  )
  const link = await startLink(t, { REDIS_URL: `redis://gateway:secret@127.0.0.1:${redis.port}` })
  await link.until('the link is up', (state) => state.is_up)
  assert.equal((await link.command('SET', 'framegate:a', 1)).reply, 'OK')
  for (let i = 0; i < 2; i++)
    assert.equal(((await link.command('DEL', 'framegate:a')).err as { code: string }).code, 'NOPERM')
  await link.logged(
    /Redis at \S+ refuses a command: the ACL of the user gateway forbids the command del: allow it with ACL SETUSER gateway \+del/,
  )
  assert.equal(link.log().match(/forbids the command del/g)!.length, 1)
  assert.equal(((await link.command('GET', 'other')).err as { code: string }).code, 'NOPERM')
  await link.logged(/forbids a key or a channel/)
  // A refused SUBSCRIBE is answered by a reply: the replies of other commands stay with their commands.
  const [refused, taken, got] = await Promise.all([
    link.subscribe('framegate:ok', 'other'),
    link.subscribe('framegate:ok'),
    link.command('GET', 'framegate:a'),
  ])
  assert.equal((refused.err as { code: string }).code, 'NOPERM')
  assert.deepEqual([taken.reply, got.reply], [true, '1'])
})

test('TLS is checked against REDIS_CA and the name', async (t) => {
  const own = certificates(t)
  const redis = await startRedis(t, { tls: own.make('redis') })
  const REDIS_CA = join(own.folder, 'ca.pem')
  const link = await startLink(t, { REDIS_URL: `rediss://localhost:${redis.tlsPort}`, REDIS_CA })
  await link.until('the link is up', (state) => state.is_up)
  const large = 'x'.repeat(1_000_000)
  assert.equal((await link.command('ECHO', large)).reply, large)
  await assertReason(
    await startLink(t, { REDIS_URL: `rediss://127.0.0.1:${redis.tlsPort}`, REDIS_CA }),
    /its certificate is not for the name 127\.0\.0\.1: use a name of the certificate/,
  )
  const foreign = join(own.folder, 'foreign.pem')
  writeFileSync(foreign, certificates(t).authority)
  await assertReason(
    await startLink(t, { REDIS_URL: `rediss://localhost:${redis.tlsPort}`, REDIS_CA: foreign }),
    /its certificate is not trusted \(.*\): name the file of its authority in REDIS_CA/,
  )
  await assertReason(await startLink(t, { REDIS_URL: `rediss://localhost:${redis.port}`, REDIS_CA }), /TLS failed/)
  await assertReason(
    await startLink(t, { REDIS_URL: `redis://localhost:${redis.tlsPort}` }),
    /the connection ended before an answer/,
  )
})
