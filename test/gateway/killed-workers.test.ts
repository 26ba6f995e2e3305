// Workers that end by themselves: killed at the worst moment, or by a signal that was meant for nginx's master.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import { askSocket, KILLED, startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { haveLeft } from '../support/workers.ts'

type Worker = { connections: number }

// Takes the lock of the dictionary for this worker as nginx does (ngx_shmtx.c), and keeps it for a minute.
// The first word of a zone's memory is the lock: the pid of its holder.
const HOLD = `
location = /hold {
  content_by_lua_block {
    local ffi = require "ffi"
    local zone = ffi.cast("void ***", ngx.shared.gateway[1])[0] -- ngx_shm_zone_t: data, then shm.addr
    local lock = ffi.cast("volatile unsigned long *", zone[1])
    repeat until lock[0] == 0
    lock[0] = ngx.worker.pid()
    ffi.cdef "int poll(void *fds, unsigned long count, int ms);"
    ffi.C.poll(nil, 0, 60000)
  }
}`

test('a worker is killed while it holds the lock of a dictionary, during a reload: the reload goes on', async (t) => {
  const gateway = await startGateway(t, {
    locations: HOLD,
    expect: [KILLED],
  })
  const before = gateway.workers()
  const holding = fetch(`${gateway.url}/hold`).catch(() => undefined)
  const holder = await until('a worker holds the lock', () =>
    before.find((pid) => readFileSync(`/proc/${pid}/wchan`, 'utf8').startsWith('poll_')),
  )
  process.kill(gateway.pid, 'SIGHUP')
  await until('the master has loaded the configuration, or waits for the lock', () => {
    const isWaiting = readFileSync(`/proc/${gateway.pid}/wchan`, 'utf8').startsWith('futex')
    return isWaiting || gateway.workers().some((pid) => !before.includes(pid))
  })
  process.kill(holder, 'SIGKILL')
  await holding
  await until('the workers are new', () => {
    const now = gateway.workers()
    return now.length >= 2 && !now.some((pid) => before.includes(pid))
  })
  const client = await open(`${gateway.ws}/ws/echo`)
  assert.equal(await client.ask('hello'), 'hello')
  client.socket.terminate()
})

test('SIGQUIT to one worker ends its sockets alone, and a later reload ends none', async (t) => {
  const gateway = await startGateway(t, { env: { MAX_CONNECTIONS_PER_IP: 'off' } })
  const [ended] = gateway.workers()
  const status = async (): Promise<any> =>
    JSON.parse((await askSocket('/status', `${gateway.run}/control/control.sock`)).body)
  const sockets: Client[] = []
  const isSpread = async (): Promise<boolean> =>
    (await status()).workers.every(({ connections }: Worker) => connections > 0)
  await until('each worker has a socket', async () => {
    for (let i = 0; i < 10; i++) sockets.push(await open(`${gateway.ws}/ws/echo`))
    return isSpread()
  })
  let closed = 0
  for (const { closed: end } of sockets) {
    void end.then(({ code }) => {
      assert.equal(code, 1001)
      closed += 1
    })
  }
  process.kill(ended!, 'SIGQUIT')
  await until('it is replaced', () => gateway.workers().length === 2 && !gateway.workers().includes(ended!))
  await until('its sockets are closed', async () => closed === sockets.length - (await status()).connections)
  const closedAtFirst = closed
  const old = gateway.workers()
  await gateway.reload()
  await until('the old workers leave', () => haveLeft(gateway, old))
  const fresh = await open(`${gateway.ws}/ws/echo`)
  await gateway.reload()
  // A worker that takes the reload for a stop closes its sockets within STOP_SECONDS and ends.
  await until(
    'those without sockets have ended',
    () => gateway.workers().filter((pid) => old.includes(pid)).length <= 1,
  )
  const rest = sockets.filter(({ socket }) => socket.readyState === 1)
  for (const client of [...rest, fresh]) assert.equal(await client.ask('hello'), 'hello')
  assert.equal(closed, closedAtFirst)
  await gateway.quit()
  assert.equal((await fresh.closed).code, 1001)
  await until('all are closed', () => closed === sockets.length)
})
