// The history of topics in shared memory.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { Gateway as Api } from '../../plugin/index.ts'
import { open } from '../support/client.ts'
import { KILLED } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { ask, join, pushGateway } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { historyGateway, kept, publish, take } from './history.ts'

test('a kept topic: positions, messages, bounds by number', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=3/10m', WORKERS: '2' })
  assert.equal((await publish(gateway, 'other', 'x')).position, undefined)
  assert.equal((await kept(gateway, 'other')).status, 404)
  const before = await kept(gateway, 'chat:1')
  assert.deepEqual(before.messages, [])
  const positions: string[] = []
  for (const body of ['a', 'b', 'c', 'd']) positions.push((await publish(gateway, 'chat:1', body)).position)
  const all = await kept(gateway, 'chat:1')
  assert.deepEqual(
    all.messages.map(({ text }) => text),
    ['b', 'c', 'd'],
  )
  assert.deepEqual(
    all.messages.map(({ position }) => position),
    positions.slice(1),
  )
  assert.equal(all.position, positions[3])
  assert.ok(Math.abs(Date.parse(all.messages[0]!.time) - Date.now()) < 60_000)
  assert.deepEqual(
    (await kept(gateway, 'chat:1', `?after=${positions[2]}`)).messages.map(({ text }) => text),
    ['d'],
  )
  assert.deepEqual((await kept(gateway, 'chat:1', `?after=${positions[3]}`)).messages, [])
  assert.equal((await kept(gateway, 'chat:1', `?after=${before.position}`)).status, 410)
  assert.equal((await kept(gateway, 'chat:1', '?after=nonsense')).status, 410)
  assert.deepEqual(
    (await kept(gateway, 'chat:1', '?last=1')).messages.map(({ text }) => text),
    ['d'],
  )
  const client = await open(`${gateway.ws}/ws/from/chat:1?last=2`)
  assert.deepEqual(await take(client, 3), ['hello', 'c', 'd'])
  await publish(gateway, 'chat:1', 'e')
  assert.deepEqual(await take(client, 1), ['e'])
  await client.close()
})

test('what cannot be given whole: an error frame, or what the handler chose', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=3/10m', WORKERS: '2', OUTBOX_BYTES: '128k' })
  const { position: start } = await kept(gateway, 'chat:1')
  for (let i = 0; i < 5; i++) await publish(gateway, 'chat:1', `${i}`)
  const refused = await open(`${gateway.ws}/ws/from/chat:1?after=${start}`)
  assert.equal(await refused.next(), 'hello')
  const { statusCode, message } = await refused.json()
  assert.deepEqual([statusCode, message], [410, 'not everything after this position is kept: chat:1'])
  const last = await open(`${gateway.ws}/ws/from/chat:1?after=${start}&else=last&last=2`)
  assert.deepEqual(await take(last, 3), ['hello', '3', '4'])
  const all = await open(`${gateway.ws}/ws/from/chat:1?after=${start}&else=last`)
  assert.deepEqual(await take(all, 4), ['hello', '2', '3', '4'])
  const none = await open(`${gateway.ws}/ws/from/chat:1?after=${start}&else=none`)
  assert.deepEqual(await take(none, 1), ['hello'])
  await publish(gateway, 'chat:1', 'live')
  for (const client of [refused, last, all, none]) assert.deepEqual(await take(client, 1), ['live'])
  const { position: middle } = await kept(gateway, 'chat:1')
  const large = 'x'.repeat(40_000)
  for (const name of ['a', 'b']) await publish(gateway, 'chat:1', name + large)
  const bounded = await open(`${gateway.ws}/ws/from/chat:1?after=${middle}&else=last`)
  assert.deepEqual(await take(bounded, 2), ['hello', `b${large}`], 'no more than half of OUTBOX_BYTES')
  for (const client of [refused, last, all, none, bounded]) client.socket.terminate()
})

test('frames over 64 KB pass and are not kept; binary ones come back as base64', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: '=3/10m', WORKERS: '2' })
  const client = await open(`${gateway.ws}/ws/from/t`)
  assert.equal(await client.next(), 'hello')
  const headers = { 'content-type': 'application/octet-stream' }
  await ask(gateway, 'POST', '/topics/t', { body: Buffer.from([0, 255]), headers })
  assert.deepEqual(await client.next(), Buffer.from([0, 255]))
  assert.equal((await publish(gateway, 't', 'x'.repeat(65_537))).position, null)
  assert.equal(String(await client.next()).length, 65_537)
  assert.equal(typeof (await publish(gateway, 't', 'y'.repeat(65_536))).position, 'string')
  assert.equal(String(await client.next()).length, 65_536)
  const { messages } = await kept(gateway, 't')
  assert.deepEqual(
    messages.map(({ type, text, base64 }) => [type, text?.length, base64]),
    [
      ['binary', undefined, 'AP8='],
      ['text', 65_536, undefined],
    ],
  )
  client.socket.terminate()
})

test('history survives a reload and a killed worker, and begins anew after a stop', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=1000/10m', WORKERS: '2' }, [KILLED])
  const { position } = await publish(gateway, 'chat:1', 'a')
  const old = await open(`${gateway.ws}/ws/from/chat:1`)
  assert.equal(await old.next(), 'hello')
  await gateway.reload()
  const [victim] = gateway.workers().slice(-1)
  process.kill(victim!, 'SIGKILL')
  await until(
    'another worker has its place',
    () => gateway.workers().length >= 3 && !gateway.workers().includes(victim!),
  )
  const young = await open(`${gateway.ws}/ws/from/chat:1?after=${position}`)
  assert.equal(await young.next(), 'hello')
  for (let i = 0; i < 50; i++) await publish(gateway, 'chat:1', `${i}`)
  for (const client of [old, young])
    assert.deepEqual(
      await take(client, 50),
      Array.from({ length: 50 }, (_, i) => `${i}`),
    )
  assert.equal((await kept(gateway, 'chat:1', `?after=${position}`)).messages.length, 50)
  for (const client of [old, young]) client.socket.terminate()
  await gateway.quit()
  await gateway.startAgain()
  const again = await publish(gateway, 'chat:1', 'b')
  assert.notEqual(again.position, position)
  assert.equal((await kept(gateway, 'chat:1', `?after=${position}`)).status, 410)
  assert.deepEqual(
    (await kept(gateway, 'chat:1')).messages.map(({ text }) => text),
    ['b'],
  )
})

test('with the plugin: kept frames come behind all others of the answer, and what it publishes itself comes once', async (t) => {
  const gateway = await pushGateway(
    t,
    { HISTORY: 'chat:=100/10m', WORKERS: '2' },
    {
      routes: (app) => {
        app.ws('/ws/chat', {
          message(request, reply) {
            reply.subscribe('chat:1', { last: 50 }).publish('chat:1', 'joined').frame('first')
            return `body ${request.body}`
          },
        })
      },
    },
  )
  const api = new Api({ url: `unix:${gateway.run}/control/control.sock` })
  t.after(() => api.end())
  const { position } = await api.publish('chat:1', 'earlier')
  const client = await open(`${gateway.ws}/ws/chat`)
  client.socket.send('x')
  assert.deepEqual(await take(client, 4), ['first', 'body x', 'earlier', 'joined'])
  const { messages } = await api.messages('chat:1', { after: position! })
  assert.deepEqual(
    messages.map(({ text }) => text),
    ['joined'],
  )
  assert.equal((await api.messages('chat:1', { last: 1 })).messages.length, 1)
  assert.equal((await api.publish('chat:1', 'live', { replace: 'key' })).delivered, 1)
  assert.deepEqual(await take(client, 1), ['live'])
  client.socket.terminate()
})

test('PUT of a subscription sends kept frames first', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'chat:=3/10m', WORKERS: '2' })
  const api = new Api({ url: `unix:${gateway.run}/control/control.sock` })
  t.after(() => api.end())
  const { position: start } = await kept(gateway, 'chat:1')
  const positions: string[] = []
  for (const body of ['a', 'b', 'c', 'd']) positions.push((await publish(gateway, 'chat:1', body)).position)
  const { client, id } = await join(gateway, 'other')
  await api.subscribe('chat:1', id, { last: 2 })
  assert.deepEqual(await take(client, 2), ['c', 'd'])
  await api.subscribe('chat:1', id, { after: positions[0]!, last: 1, else: 'last' })
  assert.deepEqual(await take(client, 3), ['b', 'c', 'd'])
  await api.subscribe('chat:1', id, { after: start, else: 'none' })
  await api.subscribe('chat:1', id, { after: start, else: 'last', last: 1 })
  assert.deepEqual(await take(client, 1), ['d'])
  const put = async (topic: string, query: string) => {
    const { status, json } = await ask(gateway, 'PUT', `/topics/${topic}/connections/${id}?${query}`)
    return [status, json?.detail]
  }
  assert.deepEqual(await put('chat:2', `after=${start}`), [
    410,
    'not everything after this position is kept: the connection is subscribed and got no frames',
  ])
  assert.deepEqual(await put('news', 'last=1'), [404, 'this topic is not kept (HISTORY)'])
  assert.deepEqual(await put('chat:1', 'last=x'), [400, 'last is a whole number from 1'])
  assert.deepEqual(await put('chat:1', 'else=none'), [400, 'else is "last" or "none", beside after'])
  for (const topic of ['chat:1', 'chat:2']) await publish(gateway, topic, `live ${topic}`)
  assert.deepEqual(await take(client, 2), ['live chat:1', 'live chat:2'])
  client.socket.terminate()
})

test('a subscription that the same answer ends again is none', async (t) => {
  const routes = (app: FastifyInstance) => {
    app.ws('/ws/undecided', {
      message: (_, reply) => reply.subscribe('chat:1', { last: 5 }).unsubscribe('chat:1').send('done'),
    })
  }
  const gateway = await pushGateway(t, { HISTORY: 'chat:=3/10m' }, { routes })
  await publish(gateway, 'chat:1', 'kept')
  const client = await open(`${gateway.ws}/ws/undecided`)
  client.socket.send('x')
  assert.deepEqual(await take(client, 1), ['done'])
  assert.equal((await publish(gateway, 'chat:1', 'live')).delivered, 0)
  client.socket.terminate()
})

test('metrics show what is kept, and frames of silent topics give their memory back', async (t) => {
  const gateway = await historyGateway(t, { HISTORY: 'short=100/5s few=2/1h', HISTORY_BYTES: '1m', WORKERS: '2' })
  for (let i = 0; i < 3; i++) for (const topic of ['short', 'few']) await publish(gateway, topic, 'x'.repeat(600))
  const facts = async () => {
    const all = await samples(gateway)
    return {
      frames: all.history_frames,
      bytes: all.history_bytes,
      number: all['history_removed_total{reason="number"}'],
      age: all['history_removed_total{reason="age"}'],
    }
  }
  assert.deepEqual(await facts(), { frames: 5, bytes: 5120, number: 1, age: 0 })
  assert.equal((await samples(gateway)).history_max_bytes, 1024 * 1024)
  const left = { frames: 2, bytes: 2048, number: 1, age: 3 }
  // Within 5 s, and the 5 s between two sweeps. A sweep counts one after the other.
  await until('the old ones are gone', async () => isDeepStrictEqual(await facts(), left), 30_000).catch(
    () => undefined,
  )
  assert.deepEqual(await facts(), left)
})
