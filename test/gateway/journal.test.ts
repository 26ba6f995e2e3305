// What the sockets of a gateway are owed that was killed as a whole, or stopped while the handler was away.
import assert from 'node:assert/strict'
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import { type Gateway, type GatewayOptions, KILLED, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { echo, type ProbeHandler, type SeenEvent, startProbeHandler } from '../support/probe-handler.ts'
import { until } from '../support/wait.ts'
import { busiestWorker, replacements } from '../support/workers.ts'

const UNLIMITED = { MAX_CONNECTIONS_PER_IP: 'off' }
/** Three times the longest: a worker looks every 10 s, and adopts a journal of its own gateway at the second look. */
const ADOPTED_MS = 60_000

type Parts = { gateway: Gateway; handler: ProbeHandler }

async function start(t: TestContext, options: GatewayOptions = {}): Promise<Parts> {
  const gateway = await startGateway(t, { handler: false, ...options })
  return { gateway, handler: await startProbeHandler(t, gateway.handlerSocket) }
}

async function openMany(gateway: Gateway, count: number): Promise<Client[]> {
  const clients: Client[] = []
  while (clients.length < count) {
    const each = Math.min(100, count - clients.length)
    clients.push(...(await Promise.all(Array.from({ length: each }, () => open(`${gateway.ws}/ws/any?room=7`)))))
  }
  return clients
}

function eventsOf(handler: ProbeHandler, type: string): SeenEvent[] {
  return handler.events.filter((event) => event.type === `framegate.${type}`)
}

/** The ids that the close events of all opened sockets have, and their sources. */
function owed(handler: ProbeHandler): string[] {
  return eventsOf(handler, 'open')
    .map(({ headers }) => `${headers['ce-connectionid']}/close ${headers['ce-source']}`)
    .sort()
}

function closed(handler: ProbeHandler): string[] {
  return eventsOf(handler, 'close')
    .map(({ id, headers }) => `${id} ${headers['ce-source']}`)
    .sort()
}

function journals(gateway: Gateway): string[] {
  return readdirSync(join(gateway.run, 'journal'))
}

/** Resolves when nothing is owed any more: the only journals are those of the workers that run, and they are empty. */
async function areSettled(gateway: Gateway): Promise<void> {
  const isSettled = (): boolean => {
    const files = journals(gateway).map((name) => statSync(`${gateway.run}/journal/${name}`, { throwIfNoEntry: false }))
    return files.length === gateway.workers().length && files.every((file) => file?.size === 0)
  }
  await until('nothing is owed', isSettled, ADOPTED_MS)
}

test('kill -9 of master and workers: the next start sends 500 close events, once each, under their ids', async (t) => {
  const { gateway, handler } = await start(t, { env: UNLIMITED })
  const began = performance.now()
  await openMany(gateway, 500)
  for (const name of journals(gateway)) assert.equal(statSync(`${gateway.run}/journal/${name}`).mode & 0o777, 0o600)
  await gateway.kill()
  const killedAfter = performance.now() - began
  assert.deepEqual(closed(handler), [])
  await gateway.startAgain()
  await until('all close events', () => eventsOf(handler, 'close').length >= 500, 20_000)
  await areSettled(gateway)
  assert.deepEqual(closed(handler), owed(handler))
  for (const { url, headers } of eventsOf(handler, 'close')) {
    assert.equal(url, '/ws/any?room=7')
    assert.equal(headers['ce-closecode'], '1006')
    assert.equal(decodeURIComponent(String(headers['ce-closereason'])), 'the gateway that held the socket was killed')
    assert.ok(Number(headers['ce-duration']) <= killedAfter + 1000)
    assert.equal(headers['ce-eventnumber'], undefined)
  }
  await until('it is in the log', () =>
    /close events of \d+ sockets of an earlier gateway or worker are on their way/.test(gateway.log()),
  )
  await gateway.kill()
  await gateway.startAgain()
  await areSettled(gateway)
  assert.equal(eventsOf(handler, 'close').length, 500, 'a later start sends none again')
})

test('the close events of an earlier gateway are at most 500 in any second', async (t) => {
  const { gateway, handler } = await start(t, { env: { ...UNLIMITED, WORKERS: '4' } })
  await openMany(gateway, 1200)
  await gateway.kill()
  await gateway.startAgain()
  await until('all close events', () => eventsOf(handler, 'close').length === 1200, 20_000)
  // When they were sent. A handler that stands still for a moment gets many together.
  const times = eventsOf(handler, 'close')
    .map(({ headers }) => Date.parse(String(headers['ce-time'])))
    .sort((a, b) => a - b)
  for (let i = 550; i < times.length; i++) {
    assert.ok(times[i]! - times[i - 550]! > 900, `${i}: 550 within ${times[i]! - times[i - 550]!} ms`)
  }
})

test('a socket that had ended is not owed anything; its journal is compacted meanwhile', async (t) => {
  const { gateway, handler } = await start(t, { env: { ...UNLIMITED, WORKERS: '1' } })
  const [staying] = await openMany(gateway, 1)
  const journal = join(gateway.run, 'journal', journals(gateway)[0]!)
  let largest = 0
  for (let i = 0; i < 30; i++) {
    const clients = await openMany(gateway, 100)
    await Promise.all(clients.map((client) => client.close()))
    largest = Math.max(largest, statSync(journal).size)
  }
  const answered = 'event_duration_seconds_count{type="close"}'
  await until('all close events are answered', async () => (await samples(gateway))[answered] === 3000)
  await until('the journal is small', () => statSync(journal).size < 1024 * 1024)
  assert.ok(largest < 2 * 1024 * 1024, `${largest} bytes`)
  assert.equal(staying!.socket.readyState, 1)
  await gateway.kill()
  await gateway.startAgain()
  await until('the close event of the one that stayed', () => eventsOf(handler, 'close').length === 3001)
  await areSettled(gateway)
  assert.deepEqual(closed(handler), owed(handler))
})

test('a journal that is cut off and overwritten costs the records there, and one line', async (t) => {
  const { gateway, handler } = await start(t, { env: { ...UNLIMITED, WORKERS: '1' } })
  await openMany(gateway, 50)
  await gateway.kill()
  const path = join(gateway.run, 'journal', journals(gateway)[0]!)
  const { size } = statSync(path)
  const file = openSync(path, 'r+')
  ftruncateSync(file, size - 10)
  writeSync(file, Buffer.alloc(20, 0xff), 0, 20, Math.floor(size / 2))
  closeSync(file)
  await gateway.startAgain()
  await until('the other close events', () => eventsOf(handler, 'close').length >= 47)
  await areSettled(gateway)
  const count = eventsOf(handler, 'close').length
  assert.ok(count >= 47 && count <= 48, `${count}`)
  assert.equal(new Set(closed(handler)).size, count)
  assert.equal(gateway.log().match(/is damaged in 2 place/g)?.length, 1, gateway.log())
})

test('the handler is away at two starts: the close events wait, and come when it is back', async (t) => {
  const { gateway, handler } = await start(t, { env: { ...UNLIMITED, HANDLER_WAIT: '1s' } })
  await openMany(gateway, 40)
  await handler.stop()
  await gateway.kill()
  await gateway.startAgain()
  await until('it has looked for the handler', () => /no handler can be reached/.test(gateway.log()))
  await gateway.quit()
  await gateway.startAgain()
  const before = performance.now()
  await until('longer than HANDLER_WAIT', () => performance.now() - before > 2500)
  await handler.start()
  await until('all close events', () => eventsOf(handler, 'close').length >= 40, 30_000)
  await areSettled(gateway)
  assert.deepEqual(closed(handler), owed(handler))
})

test('a stop leaves no journal; one while the handler is away leaves what is owed to the next start', async (t) => {
  const { gateway, handler } = await start(t, { env: { STOP_SECONDS: '100ms' } })
  await openMany(gateway, 10)
  await gateway.quit()
  assert.deepEqual(journals(gateway), [])
  assert.equal(eventsOf(handler, 'close').length, 10)
  await gateway.startAgain()
  await openMany(gateway, 10)
  await handler.stop()
  await gateway.quit()
  assert.equal(eventsOf(handler, 'close').length, 10)
  await handler.start()
  await gateway.startAgain()
  await until('the other close events', () => eventsOf(handler, 'close').length >= 20)
  await areSettled(gateway)
  assert.deepEqual(closed(handler), owed(handler))
  for (const { headers } of eventsOf(handler, 'close')) assert.equal(headers['ce-closecode'], '1001')
})

test('a killed worker, then a stop, then a start: each close event comes once', async (t) => {
  const { gateway, handler } = await start(t, { env: UNLIMITED, expect: [KILLED] })
  await openMany(gateway, 60)
  const { pid, journal, connections } = await busiestWorker(gateway)
  process.kill(pid, 'SIGKILL')
  await replacements(gateway, [pid], 2)
  await until('its journal is gone', () => !journals(gateway).includes(journal), ADOPTED_MS)
  assert.equal(eventsOf(handler, 'close').length, connections, 'its close events, and no others')
  await gateway.quit()
  assert.deepEqual(journals(gateway), [])
  assert.deepEqual(closed(handler), owed(handler))
  await gateway.startAgain()
  await areSettled(gateway)
  assert.deepEqual(closed(handler), owed(handler))
})

test('a killed worker, and whoever sent its close events killed too, while the handler is away: once each', async (t) => {
  const { gateway, handler } = await start(t, { env: UNLIMITED, expect: [KILLED] })
  await openMany(gateway, 60)
  await handler.stop()
  const killed = (): number => gateway.log().match(/a worker was killed/g)?.length ?? 0
  const { pid, journal } = await busiestWorker(gateway)
  process.kill(pid, 'SIGKILL')
  await until('another worker has noticed', () => killed() === 1, ADOPTED_MS)
  const others = await replacements(gateway, [pid], 2)
  assert.ok(journals(gateway).includes(journal), 'its close events are owed')
  for (const worker of others) process.kill(worker, 'SIGKILL')
  await until('other workers have noticed', () => killed() === 3, ADOPTED_MS)
  await handler.start()
  await until('all close events', () => eventsOf(handler, 'close').length >= 60, ADOPTED_MS)
  await until('only the journals of the two workers are left', () => journals(gateway).length === 2, ADOPTED_MS)
  assert.deepEqual(closed(handler), owed(handler))
})

test('after a reload the journal of an old worker is kept until its sockets have ended', async (t) => {
  const { gateway, handler } = await start(t, { env: { WORKERS: '1' } })
  const [first, second] = await openMany(gateway, 2)
  const [old] = journals(gateway)
  await gateway.reload()
  await until('both have a journal', () => journals(gateway).length === 2)
  await first!.close()
  assert.ok(journals(gateway).includes(old!))
  await second!.close()
  await until('the old worker has ended', () => gateway.workers().length === 1, 20_000)
  assert.equal(journals(gateway).includes(old!), false)
  assert.deepEqual(closed(handler), owed(handler))
})

test('the last state is in the journal within a second, and changes in between cost nothing there', async (t) => {
  const { gateway, handler } = await start(t, { env: { WORKERS: '1' } })
  handler.answer((event, response, request) => {
    if (event.type === 'framegate.message') response.setHeader('ws-state', event.body.toString())
    if (event.body.toString() === 'state-200') response.setHeader('ws-alarm', '1.1')
    return echo(event, response, request)
  })
  const [client] = await openMany(gateway, 1)
  const journal = join(gateway.run, 'journal', journals(gateway)[0]!)
  const began = performance.now()
  for (let i = 1; i <= 200; i++) await client!.ask(`state-${i}`)
  await handler.seen('alarm') // 1.1 s later by the clock of the worker
  const states = readFileSync(journal, 'utf8').match(/\nstate-\d+(?=\n)/g)!
  assert.equal(states.at(-1), '\nstate-200')
  const seconds = (performance.now() - began) / 1000
  assert.ok(states.length <= seconds + 1, `${states.length} records in ${seconds} s`)
  await gateway.kill()
  await gateway.startAgain()
  assert.equal((await handler.seen('close')).headers['ce-state'], 'state-200')
})
