// Pushes between workers: killed ones, ones that stand still, and reloads.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { KILLED } from '../support/gateway.ts'
import { hold } from '../support/standstill.ts'
import { type Counts, control, subscribers, subscribersOfAll, topicGateway } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

test('4 workers, 1,000 sockets, 1,000 publishes from four publishers: each frame once, each publisher’s in order', async (t) => {
  const gateway = await topicGateway(t)
  const all = await subscribersOfAll(gateway, 1000, 4)
  const received = all.map(({ client }) => {
    const last = [-1, -1, -1, -1]
    let count = 0
    return new Promise<void>((resolve, reject) => {
      client.socket.on('message', (data) => {
        const [publisher, number] = data.toString().split(':').map(Number)
        if (number !== last[publisher!]! + 1)
          reject(new Error(`publisher ${publisher}: ${number} after ${last[publisher!]}`))
        last[publisher!] = number!
        if (++count === 1000) resolve()
      })
    })
  })
  let delivered = 0
  await Promise.all(
    [0, 1, 2, 3].map(async (publisher) => {
      for (let i = 0; i < 250; i++) {
        const { status, json } = await control(gateway, 'POST', '/topics/news', `${publisher}:${i}`)
        assert.equal(status, 200)
        delivered += (json as Counts).delivered
      }
    }),
  )
  await Promise.all(received)
  assert.equal(delivered, 1000 * all.length)
  all.forEach(({ client }) => client.socket.terminate())
})

test('one id: 200 and the frame, or 410 as soon as the socket has closed, from any worker', async (t) => {
  const gateway = await topicGateway(t)
  const all = await subscribers(gateway, 40)
  for (const { client, id } of all) {
    const next = client.next()
    assert.deepEqual(await control(gateway, 'POST', `/connections/${id}`, `to ${id}`), {
      status: 200,
      json: { delivered: 1, dropped: 0 },
    })
    assert.equal(await next, `to ${id}`)
  }
  for (const { client, id } of all) {
    await client.close()
    assert.equal((await control(gateway, 'POST', `/connections/${id}`, 'x')).status, 410)
  }
  assert.equal((await control(gateway, 'POST', '/connections/none', 'x')).status, 410)
})

test('a worker killed in the middle: the others get everything, counts stay true, its successor is in the mesh', async (t) => {
  const gateway = await topicGateway(t, { expect: [KILLED, /Broken pipe/, /reset by peer/] })
  const all = await subscribersOfAll(gateway, 200, 4)
  const pids = gateway.workers()
  process.kill(pids[0]!, 'SIGKILL')
  const lost = await until('its sockets are gone', () => {
    const first = all.find(({ client }) => client.socket.readyState === 3)
    const held = all.filter(({ id }) => first && id.startsWith(first.id.slice(0, 10)))
    return held.length > 0 && held.every(({ client }) => client.socket.readyState === 3) && held.length
  })
  const left = all.filter(({ client }) => client.socket.readyState === 1)
  for (let i = 0; i < 20; i++) {
    const arrived = Promise.all(left.map(({ client }) => client.next()))
    const { json } = await control(gateway, 'POST', '/topics/news', `n${i}`)
    assert.equal((json as Counts).delivered, all.length - lost)
    for (const message of await arrived) assert.equal(message, `n${i}`)
  }
  const isLinked = async (): Promise<boolean> => {
    const { json } = await control(gateway, 'GET', '/status')
    return json.workers.length === 4 && json.missing_links === 0
  }
  await until('the new worker is linked, in the time that a push waits for it', isLinked, 5_000)
  const fresh = await subscribers(gateway, 100)
  const { json } = await control(gateway, 'POST', '/topics/news', 'all')
  assert.equal((json as Counts).delivered, all.length - lost + 100)
  ;[...left, ...fresh].forEach(({ client }) => client.socket.terminate())
})

test('a worker that stands still: a push to many is 504 with the counts of the others, not 200', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '2' } })
  const all = await subscribersOfAll(gateway, 20, 2)
  const [held] = gateway.workers()
  await hold(held!)
  const { status, json } = await control(gateway, 'POST', '/topics/news', 'x')
  process.kill(held!, 'SIGCONT')
  assert.equal(status, 504)
  assert.equal(json.detail, 'a worker did not answer: what became of the frame there is not known')
  assert.ok(json.delivered > 0 && json.delivered < all.length, `${json.delivered} delivered`)
  for (const { client } of all) assert.equal(await client.next(), 'x')
  all.forEach(({ client }) => client.socket.terminate())
})

test('a worker that stands still: lists are 504 with the part of the others, and the status names it', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '2' } })
  const all = await subscribersOfAll(gateway, 20, 2)
  const [held] = gateway.workers()
  await hold(held!)
  const paths = ['/connections', '/topics/news', '/topics', '/status']
  const [list, topic, topics, status] = await Promise.all(paths.map((path) => control(gateway, 'GET', path)))
  process.kill(held!, 'SIGCONT')
  for (const { status, json } of [list!, topic!, topics!]) {
    assert.equal(status, 504)
    assert.equal(json.detail, 'a worker or a node did not answer: what it holds is missing from this list')
  }
  const known = status!.json.connections
  assert.ok(known > 0 && known < all.length, `${known} connections`)
  assert.deepEqual([list!.json.count, list!.json.connections.length, topic!.json.count], [known, known, known])
  assert.deepEqual(topics!.json.topics, [{ topic: 'news', count: known }])
  assert.equal(status!.status, 200)
  assert.deepEqual(
    status!.json.silent_workers.map(({ pid }: { pid: number }) => pid),
    [held],
  )
  assert.equal(status!.json.workers.length, 1)
  all.forEach(({ client }) => client.socket.terminate())
})

test('a reload in the middle of pushing: nobody loses a frame, and sockets of old workers go on getting theirs', async (t) => {
  const gateway = await topicGateway(t)
  const old = await subscribers(gateway, 100)
  const push = async (count: number, who: typeof old): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const arrived = Promise.all(who.map(({ client }) => client.next()))
      const { json } = await control(gateway, 'POST', '/topics/news', `n${i}`)
      assert.equal((json as Counts).delivered, who.length)
      for (const message of await arrived) assert.equal(message, `n${i}`)
    }
  }
  const pushing = push(100, old)
  await gateway.reload()
  await pushing
  const fresh = await subscribers(gateway, 100)
  await push(20, [...old, ...fresh])
  await gateway.reload()
  const third = await subscribers(gateway, 50)
  await push(20, [...old, ...fresh, ...third])
  assert.equal(await old[0]!.client.ask('events go on'), 'events go on')
  ;[...old, ...fresh, ...third].forEach(({ client }) => client.socket.terminate())
  await until('old workers have ended', () => gateway.workers().length === 4, 20_000)
})

test('only who knows the secret joins the mesh', async (t) => {
  const gateway = await topicGateway(t)
  const { mesh_port: port } = JSON.parse(readFileSync(`${gateway.run}/settings.json`, 'utf8'))
  const { connect } = await import('node:net')
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: mesh\r\n\r\nwrong-secret someone 99 0\n')
  const answer = await new Promise<string>((resolve) => {
    let text = ''
    socket
      .on('data', (chunk) => {
        text += chunk
      })
      .on('close', () => resolve(text))
      .on('error', () => {})
  })
  assert.doesNotMatch(answer, /welcome/)
  await until('the log says so', () => /does not know the secret/.test(gateway.log()))
})
