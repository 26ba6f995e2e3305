// Pushes that replace one another while a reader is slow.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, join, pushGateway } from '../support/push-gateway.ts'
import { SmallReader } from '../support/small-reader.ts'
import { until } from '../support/wait.ts'

const KEYS = 20

/** Publishes versions of all keys, in batches; frames are `key:version` and 90 bytes long. */
async function publishVersions(gateway: Gateway, from: number, to: number): Promise<any[]> {
  const answers: any[] = []
  for (let version = from; version <= to; version += 50) {
    const elements = []
    for (let v = version; v < Math.min(version + 50, to + 1); v++) {
      for (let key = 0; key < KEYS; key++)
        elements.push({ path: `/topics/news?replace=${key}`, text: `${key}:${v} `.padEnd(90, '.') })
    }
    const { status, json } = await ask(gateway, 'POST', '/batch', { body: JSON.stringify(elements) })
    assert.equal(status, 200)
    answers.push(...json)
  }
  return answers
}

async function outbox(gateway: Gateway, id: string): Promise<number> {
  return (await ask(gateway, 'GET', `/connections/${id}`)).json.outbox
}

test('a reader that stops gets one frame of each key, the newest, behind what was on its way', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '2' })
  const quick = await join(gateway, 'news')
  const slow = new SmallReader(t, gateway.port, '/ws/in/news')
  await until('both subscribe', async () => (await ask(gateway, 'GET', '/topics/news')).json.count === 2)
  const { connections } = (await ask(gateway, 'GET', '/topics/news')).json
  const id = connections.map((connection: { id: string }) => connection.id).find((one: string) => one !== quick.id)
  for (const { body } of await publishVersions(gateway, 1, 1000)) assert.deepEqual(body, { delivered: 2, dropped: 0 })
  const waiting = await outbox(gateway, id)
  assert.ok(waiting > 0 && waiting <= 16 * 1024 + KEYS * 100, `${waiting} bytes wait`)
  const newest = new Set<string>()
  while (newest.size < KEYS) {
    const [key, version] = String(await quick.client.next())
      .trimEnd()
      .split(/[: ]/)
    if (version === '1000') newest.add(key!)
  }
  slow.read()
  await until('nothing waits', async () => (await outbox(gateway, id)) === 0)
  await ask(gateway, 'POST', '/topics/news', { body: '99:99 ' })
  const frames = ((await slow.readUntil('99:99 ')).match(/\d+:\d+ /g) ?? []).slice(0, -1)
  t.diagnostic(`of ${KEYS * 1000} frames the slow reader got ${frames.length}; ${waiting} bytes waited`)
  assert.ok(frames.length < 1000, `${frames.length} frames`)
  const tail = frames.slice(-KEYS)
  assert.deepEqual(new Set(tail.map((frame) => frame.split(':')[0])).size, KEYS)
  assert.ok(tail.every((frame) => frame.endsWith(':1000 ')))
  assert.equal(frames.filter((frame) => frame.endsWith(':1000 ')).length, KEYS)
  quick.client.socket.terminate()
})

test('other frames keep their place, and answers of a handler replace, too', async (t) => {
  const gateway = await pushGateway(
    t,
    {},
    {
      routes: (app) => {
        app.ws('/ws/prices', {
          open: (_request, reply) => {
            reply.subscribe('prices')
          },
          message: (request, reply) => {
            const [key, price] = String(request.body).split(' ')
            reply.publish('prices', `${key} ${price}`, { replace: key! }).publish('prices', `seen ${price}`)
          },
        })
      },
    },
  )
  const client = await open(`${gateway.ws}/ws/prices`)
  client.socket.send('btc 1')
  assert.equal(await client.next(), 'btc 1')
  assert.equal(await client.next(), 'seen 1')
  assert.equal((await ask(gateway, 'POST', '/topics/prices?replace=', { body: 'x' })).status, 400)
  assert.equal((await ask(gateway, 'POST', `/topics/prices?replace=${'x'.repeat(256)}`, { body: 'x' })).status, 400)
  await client.close()
})
