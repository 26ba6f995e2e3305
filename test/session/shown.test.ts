// What operators see of a session: the control API, the command, the metrics and the log of sockets.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commandFor } from '../push/command.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

type Line = Record<string, any>

const secondsSince = (time: number): number => (performance.now() - time) / 1000

const linesOf = (gateway: Gateway, event: string): Line[] =>
  readFileSync(`${gateway.run}/sockets.log`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.event === event)

test('a client that is away, and back: everywhere that a socket is shown', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: (run) => ({ WORKERS: '2', SOCKET_LOG: `${run}/sockets.log`, TIMERS: '1h /ws/timers/tick' }),
  })
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    const effects = event.url === '/ws/kept' ? { 'ws-session': '60', 'ws-alarm': '300', 'ws-user': 'Ada' } : {}
    response.writeHead(204, event.type === 'framegate.open' ? effects : {}).end()
  })
  const command = commandFor(gateway)
  const status = async (): Promise<any> => (await control(gateway, 'GET', '/status')).json
  const plain = await new SessionClient(gateway.port, '/ws/plain').dial()
  assert.equal(plain.first.session, null)
  const dialed = performance.now()
  const client = await new SessionClient(gateway.port, '/ws/kept').dial()
  const list = (await control(gateway, 'GET', '/connections')).json.connections as Line[]
  const [{ id, session, alarm }, other] = list.sort((a) => (a.path === '/ws/kept' ? -1 : 1)) as [Line, Line]
  assert.deepEqual(session, { keep: 60, unacknowledged: 0 })
  assert.ok(alarm >= 299 - secondsSince(dialed) && alarm <= 300, `alarm in ${alarm} s`)
  assert.deepEqual([other.session, other.alarm], [undefined, undefined])
  assert.deepEqual((await status()).sessions, { away: 0, bytes: 0 })
  assert.deepEqual((await status()).timers, [{ path: '/ws/timers/tick', period: 3600 }])
  assert.match((await command(['status'])).stdout, /^timers +\/ws\/timers\/tick every 3600 s$/m)

  const cut = performance.now()
  client.cut()
  const away = await until('it is away', async () => {
    const { json } = await control(gateway, 'GET', `/connections/${id}`)
    return json.session.away !== undefined && (json.session as Line)
  })
  const known = performance.now()
  assert.ok(away.away >= 0 && away.away <= secondsSince(cut) + 0.01, `away for ${away.away} s`)
  await control(gateway, 'POST', `/connections/${id}`, 'x'.repeat(100))
  const { sessions, connections } = await status()
  assert.deepEqual([sessions.away, connections], [1, 2])
  assert.ok(sessions.bytes >= 100 && sessions.bytes < 200, `${sessions.bytes} bytes`)
  const { sessions_away, sessions_away_bytes, sessions_detached_total } = await samples(gateway)
  assert.deepEqual([sessions_away, sessions_away_bytes, sessions_detached_total], [1, sessions.bytes, 1])
  const row = (who: string, state: string): RegExp =>
    new RegExp(`^${who} +\\S+ +127\\.0\\.0\\.1 +${state} +- +\\d`, 'm')
  const all = (await command(['connections'])).stdout
  assert.match(all, row(id, 'away \\d+ s'))
  assert.match(all, row(other.id, 'here'))
  const absent = (await command(['connections', '--away'])).stdout
  assert.ok(absent.includes(id) && absent.endsWith('\n1 connection\n'), absent)
  assert.match((await command(['status'])).stdout, /^away +1 client of sessions, 0\.0 MiB wait for them$/m)

  const least = secondsSince(known)
  await client.dial()
  assert.equal(client.first.resumed, true)
  assert.equal(await client.next(), 'x'.repeat(100))
  const last = client.next(20_000) // it answers the pings
  await until('everything is confirmed', async () => {
    const { json } = await control(gateway, 'GET', `/connections/${id}`)
    assert.ok(json.alarm > 0 && json.alarm <= alarm, `alarm in ${json.alarm} s`)
    return json.session.away === undefined && json.session.unacknowledged === 0
  })
  const most = secondsSince(cut)
  await control(gateway, 'POST', `/connections/${id}`, 'last')
  assert.equal(await last, 'last')
  assert.deepEqual((await status()).sessions, { away: 0, bytes: 0 })
  assert.equal((await samples(gateway)).sessions_resumed_total, 1)
  const who = { id, address: '127.0.0.1', user: 'Ada', path: '/ws/kept' }
  const [{ time: lost, ...detach }] = linesOf(gateway, 'detach') as [Line]
  const [{ time: found, away: seconds, ...resume }] = linesOf(gateway, 'resume') as [Line]
  assert.deepEqual(
    [detach, resume],
    [
      { event: 'detach', ...who },
      { event: 'resume', ...who },
    ],
  )
  for (const passed of [seconds, (Date.parse(found) - Date.parse(lost)) / 1000])
    assert.ok(passed >= least - 0.01 && passed <= most + 0.01, `away for ${passed} s, of ${least} to ${most} s`)
  assert.deepEqual([linesOf(gateway, 'open').length, linesOf(gateway, 'close').length], [2, 0])
})
