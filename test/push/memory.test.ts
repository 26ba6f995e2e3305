// What subscribed sockets leave behind, and what idle workers use.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { control, subscribers, topicGateway } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const KIB = 1024

function anonymous(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIB
}

/** Processor time of a process so far, in ticks of 10 ms. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

test('5,000 subscribed sockets come and go: nothing of them is left', async (t) => {
  const gateway = await topicGateway(t, { env: { WORKERS: '2' } })
  const churn = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 250) {
      const some = await subscribers(gateway, 250, `topic-${done % 1000}`)
      await Promise.all(some.map(({ client }) => client.close()))
    }
    await until('all are gone', async () => (await control(gateway, 'GET', '/connections')).json.count === 0)
  }
  const memory = (): number => gateway.workers().reduce((sum, pid) => sum + anonymous(pid), 0)
  await churn(8000) // until the heap has found its size
  // A heap of some 30 MB breathes by megabytes, up and down; what is left of each socket is added in every round.
  const growth: number[] = []
  do {
    const before = memory()
    await churn(5000)
    growth.push((memory() - before) / before)
  } while (growth.at(-1)! >= 0.05 && growth.length < 4)
  const percents = growth.map((part) => `${(part * 100).toFixed(1)} %`).join(', ')
  t.diagnostic(`worker memory changed by ${percents}`)
  assert.ok(growth.at(-1)! < 0.05, `grown by ${percents}`)
  assert.deepEqual((await control(gateway, 'GET', '/topics')).json, { topics: [] })
})

test('workers that have nothing to do use no processor time', async (t) => {
  const gateway = await topicGateway(t, { env: { PING_INTERVAL: '1h', IDLE_TIMEOUT: '2h' } })
  const idle = await subscribers(gateway, 1000)
  const workers = gateway.workers()
  const used = (): number => workers.reduce((sum, pid) => sum + ticks(pid), 0)
  await pause(1000) // what is measured is time without events
  // A worker that polls does so all the time. What a busy machine adds, such as a cold cache, comes and goes.
  const spent: number[] = []
  do {
    const before = used()
    await pause(10_000)
    spent.push((used() - before) * 10)
  } while (spent.at(-1)! > 50 && spent.length < 3)
  t.diagnostic(`${spent} ms of processor time in 10 s, with 1,000 idle sockets on 4 workers`)
  assert.ok(spent.at(-1)! <= 50, `${spent} ms`)
  idle.forEach(({ client }) => client.socket.terminate())
})
