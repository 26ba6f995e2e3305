/** Locations with handlers of their own: what one does costs the sockets of the others nothing. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket, KILLED, project, startGateway } from '../support/gateway.ts'
import { echo, type ProbeHandler, startProbeHandler } from '../support/probe-handler.ts'
import { swallowingPort } from '../support/swallowing-port.ts'
import { until } from '../support/wait.ts'

const location = (path: string, handler: string): string =>
  `location ${path} { set $ws_handler "${handler}"; include socket.conf; }\n`

test('three handlers with the weights 5, 3 and 1 get these shares', async (t) => {
  const ports = await Promise.all([freePort(), freePort(), freePort()])
  const [a, b, c] = ports.map((port) => `http://127.0.0.1:${port}`)
  const list = `${a} weight=5, ${b} weight=3, ${c}`
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_URL: list },
    locations: location('/ws/b/', list),
  })
  const handlers = await Promise.all(ports.map((port) => startProbeHandler(t, port)))
  for (const path of ['a', 'b']) {
    const clients = await Promise.all(Array.from({ length: 18 }, () => open(`${gateway.ws}/ws/${path}/`)))
    const counts = (): number[] =>
      handlers.map(({ events }) => events.filter((event) => event.type === 'framegate.message').length)
    const before = counts()
    for (let round = 0; round < 50; round++) await Promise.all(clients.map((client) => client.ask('x')))
    const shares = counts().map((count, i) => (count - before[i]!) / 900)
    for (const [i, share] of [5 / 9, 3 / 9, 1 / 9].entries())
      assert.ok(Math.abs(shares[i]! - share) < 0.05, `${path}: ${shares.map((value) => value.toFixed(3))}`)
    await Promise.all(clients.map((client) => client.close()))
  }
})

/** The median and the slowest of a number of round trips, in ms. */
async function latency(client: Client): Promise<{ median: number; worst: number }> {
  const times: number[] = []
  for (let i = 0; i < 200; i++) {
    const began = performance.now()
    assert.equal(await client.ask(`${i}`), `${i}`)
    times.push(performance.now() - began)
  }
  times.sort((x, y) => x - y)
  return { median: times[100]!, worst: times[199]! }
}

test('a handler that is down, hangs or swallows packets costs the sockets of the others nothing', async (t) => {
  const [down, hanging, well] = await Promise.all([freePort(), freePort(), freePort()])
  const swallowing = await swallowingPort(t)
  const gateway = await startGateway(t, {
    handler: false,
    env: {
      HANDLER_URL: `http://127.0.0.1:${well}`,
      HANDLER_CONCURRENCY: '8',
      HANDLER_WAIT: '30',
      WORKERS: '1',
      MAX_CONNECTIONS_PER_IP: 'off',
    },
    locations:
      location('/ws/down/', `http://127.0.0.1:${down}`) +
      location('/ws/hanging/', `http://127.0.0.1:${hanging}`) +
      location('/ws/swallowing/', `http://127.0.0.1:${swallowing}`),
  })
  await startProbeHandler(t, well)
  const hung = await startProbeHandler(t, hanging)
  const dead = await startProbeHandler(t, down)
  const sockets: Client[] = []
  for (const path of ['down', 'hanging'])
    for (let i = 0; i < 20; i++) sockets.push(await open(`${gateway.ws}/ws/${path}/`))
  hung.answer(() => {})
  await dead.stop()
  const client = await open(`${gateway.ws}/ws/a`)
  const before = await latency(client)
  for (const socket of sockets) socket.socket.send('x')
  const opening = ['down', 'hanging', 'swallowing'].flatMap((path) =>
    Array.from({ length: 20 }, () => new Client(`${gateway.ws}/ws/${path}/`)),
  )
  await until('one is away', () => /no handler can be reached at http:\/\/127.0.0.1:/.test(gateway.log()))
  const after = await latency(client)
  // A message that waited for one of the others would wait for 2 s, until connecting is given up, or for 30 s.
  assert.ok(after.worst < 2000 && after.median < before.median * 3 + 20, JSON.stringify({ before, after }))
  const another = await open(`${gateway.ws}/ws/b`)
  assert.equal(await another.ask('y'), 'y')

  const { body } = await askSocket('/status', `${gateway.run}/control/control.sock`)
  const rows = JSON.parse(body).handlers as { name: string; is_up: boolean | null; events: number; waiting: number }[]
  const row = (name: string) => rows.find((each) => each.name.includes(name))!
  assert.equal(rows[0]!.name, 'default')
  assert.deepEqual([row('default').is_up, row('default').waiting], [true, 0])
  assert.equal(row(`:${down}`).is_up, false)
  assert.ok(row(`:${down}`).waiting >= 20, JSON.stringify(rows))
  const env = { ...process.env, CONTROL_SOCKET: `${gateway.run}/control/control.sock` }
  const { stdout } = await promisify(execFile)(process.execPath, [join(project, 'cli/bin.js'), 'status'], { env })
  assert.match(stdout, new RegExp(`\nhttp://127.0.0.1:${down} +\\d+ +\\d+ +\\d+ +\\d+ +DOES NOT ANSWER\n`))
  assert.match(stdout, /\ndefault +\d+ +0 +\d+ +0 +answers\n/)
  const metrics = (await askSocket('/metrics', `${gateway.run}/control/control.sock`)).body
  assert.match(metrics, new RegExp(`framegate_handler_up\\{handler="http://127.0.0.1:${down}"\\} 0\n`))
  assert.match(metrics, /framegate_handler_up\{handler="default"\} 1\n/)
  assert.match(
    metrics,
    new RegExp(`framegate_handler_events_total\\{handler="http://127.0.0.1:${hanging}",outcome="answered"\\} 20\n`),
  )
  assert.match(metrics, /framegate_handler_lanes\{handler="default",state="busy"\} 0\n/)
  assert.match(
    metrics,
    new RegExp(`framegate_handler_events_waiting\\{handler="http://127.0.0.1:${hanging}",for="lane"\\} \\d+\n`),
  )

  await dead.start()
  hung.answer(echo)
  for (const socket of [...sockets, ...opening]) socket.socket.terminate()
})

test('a socket’s close event goes to its handler, also when its worker or the gateway was killed', async (t) => {
  const port = await freePort()
  const gateway = await startGateway(t, {
    env: { WORKERS: '1' },
    expect: [KILLED],
    locations: location('/ws/own/', `http://127.0.0.1:${port}`),
  })
  const handler: ProbeHandler = await startProbeHandler(t, port)
  // A close event whose sender was killed before it had noted the answer may come again, under the same id.
  const closes = (): string[] => {
    const events = handler.events.filter((event) => event.type === 'framegate.close')
    return [...new Map(events.map(({ id, url, headers }) => [id, `${url} ${headers['ce-closecode']}`])).values()]
  }

  const first = await open(`${gateway.ws}/ws/own/first`)
  await first.close()
  await until('the first has its close event', () => closes().length === 1)

  await open(`${gateway.ws}/ws/own/second`)
  await open(`${gateway.ws}/ws/echo`)
  for (const pid of gateway.workers()) process.kill(pid, 'SIGKILL')
  await until('the second has its close event', () => closes().length === 2, 60_000) // within 20 s

  await until('another worker serves', () =>
    open(`${gateway.ws}/ws/own/third`).then(
      () => true,
      () => false,
    ),
  )
  await gateway.kill()
  await gateway.startAgain()
  await until('the third has its close event', () => closes().length >= 3, 60_000)
  assert.deepEqual(closes(), ['/ws/own/first 1005', '/ws/own/second 1006', '/ws/own/third 1006'])
})

test('a value that cannot be used is a 500 for this location, and the log names what was expected', async (t) => {
  const gateway = await startGateway(t, {
    expect: [/set \$ws_handler 127.0.0.1:9: expected http:\/\/host:port/],
    locations: location('/ws/wrong/', '127.0.0.1:9'),
  })
  const refused = new Client(`${gateway.ws}/ws/wrong/`)
  const response = await new Promise<any>((resolve) => refused.socket.once('unexpected-response', (_, r) => resolve(r)))
  assert.equal(response.statusCode, 500)
  const client = await open(`${gateway.ws}/ws/echo`)
  assert.equal(await client.ask('x'), 'x')
  await client.close()
  await until('it is in the log', () => /set \$ws_handler 127.0.0.1:9: expected/.test(gateway.log()))
})
