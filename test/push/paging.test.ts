// Lists of connections, page by page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway } from '../../plugin/gateway/gateway.ts'
import { ask, controlSocket, joinAll, joinMany, leave, pushGateway } from '../support/push-gateway.ts'

for (const workers of [2, 4]) {
  test(`connections of ${workers} workers, page by page: each once, in the order of ids`, async (t) => {
    const gateway = await pushGateway(t, { WORKERS: String(workers) })
    const news = await joinAll(gateway, 'news', 230, workers)
    const other = await joinMany(gateway, 'other', 20)
    const ids = [...news, ...other].map(({ id }) => id).sort()
    const count = ids.length

    for (const limit of [1, 7, 50, count - 1, count, 1000, undefined]) {
      const found: string[] = []
      let cursor: string | undefined
      let pages = 0
      do {
        const query = [limit && `limit=${limit}`, cursor && `cursor=${cursor}`].filter(Boolean).join('&')
        const { status, json } = await ask(gateway, 'GET', `/connections?${query}`)
        assert.deepEqual([status, json.count], [200, count])
        found.push(...json.connections.map(({ id }: { id: string }) => id))
        cursor = json.cursor
        pages++
      } while (cursor !== undefined)
      assert.deepEqual(found, ids, `limit ${limit}`)
      assert.equal(pages, Math.ceil(count / (limit ?? 100)), 'no empty page')
    }

    assert.deepEqual((await ask(gateway, 'GET', '/topics')).json, {
      topics: [
        { topic: 'news', count: news.length },
        { topic: 'other', count: 20 },
      ],
    })
    const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
    const members = news.map(({ id }) => id).sort()
    for (const limit of [7, 30, news.length - 1, news.length, 1000]) {
      const page = await api.topic('news', { limit })
      assert.deepEqual(
        [page.topic, page.count, page.connections.length],
        ['news', news.length, Math.min(limit, news.length)],
      )
      const found: string[] = []
      for await (const { id, topics } of api.everyConnection({ topic: 'news', limit })) {
        assert.deepEqual(topics, ['news'])
        found.push(id)
      }
      assert.deepEqual(found, members, `limit ${limit}`)
    }
    leave(...news, ...other)
  })
}

test('pages go on while sockets come and go', async (t) => {
  const gateway = await pushGateway(t)
  const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
  const before = await joinMany(gateway, 'news', 60)
  const [leaves] = before.map(({ id }) => id).sort()
  const seen: string[] = []
  for await (const { id } of api.everyConnection({ limit: 10 })) {
    if (seen.push(id) === 15) {
      await before.find((member) => member.id === leaves)!.client.close()
      before.push(...(await joinMany(gateway, 'news', 5)))
    }
  }
  assert.equal(new Set(seen).size, seen.length)
  assert.ok(before.slice(0, 60).every(({ id }) => seen.includes(id)))
  leave(...before)
})
