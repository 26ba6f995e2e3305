// The list of sockets that closed: who they were, and why they ended.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway } from '../../plugin/gateway/gateway.ts'
import { open } from '../support/client.ts'
import { KILLED, type Gateway as RunningGateway, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { ask, controlSocket } from '../support/push-gateway.ts'
import { frame, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'
import { replacements } from '../support/workers.ts'

type Closed = Record<string, any> & { code: number; cause: string }

async function closesOf(gateway: RunningGateway, query = ''): Promise<{ count: number; closes: Closed[] }> {
  const { status, json } = await ask(gateway, 'GET', `/closes${query}`)
  assert.equal(status, 200)
  return json
}

async function reached(gateway: RunningGateway, count: number): Promise<Closed[]> {
  const isReached = async (): Promise<Closed[] | false> => {
    const list = await closesOf(gateway)
    // A worker counts a socket before it writes its entry.
    return list.count === count && list.closes.length === count && list.closes
  }
  return until(`${count} sockets have closed`, isReached, 30_000) // a worker looks for killed ones every 10 s
}

test('sockets that closed, on all workers, with code, cause and reason, and without what is secret', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '3', MAX_MESSAGE_BYTES: '1k' } })
  const user = 'a"\\\u0001<b>\u2028😀'
  const handler = await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type === 'framegate.open' && event.url.startsWith('/ws/no')) return void response.writeHead(403).end()
    if (event.type === 'framegate.open')
      return void response.writeHead(204, { 'ws-user': encodeURIComponent(user) }).end()
    response.writeHead(204, event.type === 'framegate.message' ? { 'ws-close': '4002 "no" %0A %E2%9C%93' } : {}).end()
  })
  assert.deepEqual(await closesOf(gateway), { count: 0, closes: [] })
  const client = await open(`${gateway.ws}/ws/a%20b/"?token=secret`)
  await client.close(4001, 'tschüß "x"\n')
  const [{ time, duration, ...first }] = (await reached(gateway, 1)) as [Closed]
  assert.deepEqual(first, {
    id: handler.events[0]!.headers['ce-connectionid'],
    address: '127.0.0.1',
    user,
    path: '/ws/a%20b/%22',
    code: 4001,
    reason: 'tschüß "x"\n',
    cause: 'client',
    frames: { in: 0, out: 0 },
    bytes: { in: 0, out: 0 },
  })
  assert.ok(Math.abs(Date.now() - Date.parse(time)) < 60_000 && duration >= 0 && duration < 60, `${time} ${duration}`)

  ;(await open(`${gateway.ws}/ws/x`)).socket.send('close me')
  await reached(gateway, 2)
  ;(await open(`${gateway.ws}/ws/x?token=secret`)).socket.terminate()
  await reached(gateway, 3)
  const raw = await rawSocket(gateway.port, `/ws/${'x'.repeat(1000)}`)
  raw.write(frame(1, 'x'.repeat(1025)))
  await raw.closeFrame()
  raw.socket.destroy()
  await assert.rejects(open(`${gateway.ws}/ws/no`))
  const closes = await reached(gateway, 4)
  assert.deepEqual(
    closes.map(({ code, cause }) => [code, cause]),
    [
      [1009, 'too_large'],
      [1006, 'lost'],
      [4002, 'handler'],
      [4001, 'client'],
    ],
  )
  assert.equal(closes[0]!.path.length, 254, 'as long as its JSON has 256 bytes')
  assert.equal(closes[2]!.reason, '"no" \n ✓')
  assert.ok(!JSON.stringify(closes).includes('secret'))

  assert.equal((await closesOf(gateway, '?limit=2')).closes.length, 2)
  for (const limit of ['0', '1001', 'x', '-1', '1.5'])
    assert.equal((await ask(gateway, 'GET', `/closes?limit=${limit}`)).status, 400, limit)
  const api = new Gateway({ url: `unix:${controlSocket(gateway)}` })
  t.after(() => api.end())
  assert.deepEqual(await api.closes({ limit: 1 }), closes.slice(0, 1))
  assert.deepEqual(await api.closes(), closes)
})

test('a reload keeps the list, and another worker adds the sockets of one that was killed', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1' }, expect: [KILLED] })
  await (await open(`${gateway.ws}/ws/echo`)).close(4001, 'before')
  await reached(gateway, 1)
  await gateway.reload()
  assert.equal((await reached(gateway, 1))[0]!.reason, 'before')
  const [worker] = await until('one worker is left', () => {
    const workers = gateway.workers()
    return workers.length === 1 && workers
  })
  await open(`${gateway.ws}/ws/echo?token=secret`)
  process.kill(worker!, 'SIGKILL')
  await replacements(gateway, [worker!], 1)
  const [{ time, id, duration, ...killed }] = (await reached(gateway, 2)) as [Closed]
  assert.deepEqual(killed, {
    address: '127.0.0.1',
    path: '/ws/echo',
    code: 1006,
    reason: 'the worker that held the socket was killed',
    cause: 'worker_killed',
  })
})

test('the last 1,000 are kept, each once', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '2', MAX_CONNECTIONS_PER_IP: 'off' } })
  const ids = new Set<string>()
  for (let opened = 0; opened < 1_100; opened += 50) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open(`${gateway.ws}/ws/echo`)))
    await Promise.all(clients.map((client) => client.close(1000)))
  }
  await until('all have closed', async () => (await ask(gateway, 'GET', '/connections')).json.count === 0)
  const { count, closes } = await until('every entry is written', async () => {
    const list = await closesOf(gateway, '?limit=1000')
    return list.closes.length === list.count && list
  })
  for (const { id, code } of closes) {
    ids.add(id)
    assert.equal(code, 1000)
  }
  assert.deepEqual([count, ids.size], [1_000, 1_000])
  const times = closes.map(({ time }) => Date.parse(time))
  assert.ok(times[0]! >= times.at(-1)!, 'the newest first')
})
