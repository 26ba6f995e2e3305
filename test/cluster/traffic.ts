/** Pushes of every node to a topic with sockets on every node, while a test breaks something; then what came is checked. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { type Client, open } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'
import { type Answer, ask } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { PROBE } from './support.ts'

const TOPIC = 'traffic'
const SOCKETS = 4 // of each node

type Arrival = { frame: string; at: number }

type Watcher = { node: number; client: Client; arrivals: Arrival[] }

export type Push = { frame: string; node: number; sentAt: number; answeredAt: number; answer: Answer }

export type Traffic = {
  pushes: Push[]
  /** Ends the publishers, and waits until nothing is under way. */
  stop: () => Promise<void>
  /** Pushes again, each through the next node, what was answered 503; every repeat must be answered 200. */
  repeatFailed: () => Promise<number>
  /** Checks that nothing is doubled, and nothing missing that was promised; returns how many publications of answers are.
   *  When a worker was killed, only its sockets may miss something, and publications that it had in hand. A node that was
   *  linked anew gets what it missed behind what came meanwhile, so publications are in order only without that. */
  check: (options?: { hasKilled?: boolean; isOrdered?: boolean }) => Promise<number>
  /** The longest of 90 % of the times from a push to its arrival at the sockets of the same node, in ms. */
  localLatency: (from: number, to: number) => number
}

async function watch(gateway: Gateway, node: number): Promise<Watcher> {
  const client = await open(`${gateway.ws}/ws/in/${TOPIC}`)
  await client.next()
  const arrivals: Arrival[] = []
  client.socket.on('message', (data) => arrivals.push({ frame: data.toString(), at: performance.now() }))
  return { node, client, arrivals }
}

function push(gateway: Gateway, frame: string): Promise<Answer> {
  return ask(gateway, 'POST', `/topics/${TOPIC}`, { body: frame, headers: { 'idempotency-key': frame } })
}

function framesOf(watcher: Watcher): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { frame } of watcher.arrivals) if (frame !== PROBE) counts.set(frame, (counts.get(frame) ?? 0) + 1)
  return counts
}

function assertInOrder(watcher: Watcher, prefix: string): void {
  const numbers = watcher.arrivals
    .filter(({ frame }) => frame.startsWith(prefix))
    .map(({ frame }) => Number(frame.split(' ')[1]))
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
    `${prefix}in order`,
  )
}

/** Starts publishers on every node: requests of the control API one after the other, and answers of the handler. */
export async function startTraffic(t: TestContext, nodes: Gateway[], { pauseMs = 10 } = {}): Promise<Traffic> {
  const run = Math.random().toString(36).slice(2, 6)
  const watchers: Watcher[] = []
  for (const [i, node] of nodes.entries()) for (let k = 0; k < SOCKETS; k += 1) watchers.push(await watch(node, i))
  const pushes: Push[] = []
  const published: { frame: string; node: number; sentAt: number }[] = []
  let isOver = false
  const publishers = nodes.map(async (node, i) => {
    for (let n = 1; !isOver; n += 1) {
      const frame = `${run}h${i} ${n}`
      const sentAt = performance.now()
      const answer = await push(node, frame).catch((error) => ({ status: 0, body: String(error) }) as Answer)
      pushes.push({ frame, node: i, sentAt, answeredAt: performance.now(), answer })
      await sleep(pauseMs)
    }
  })
  const speakers = nodes.map(async (node, i) => {
    const client = await open(`${node.ws}/ws/plain`)
    t.after(() => client.socket.terminate())
    for (let n = 1; !isOver; n += 1) {
      const frame = `${run}e${i} ${n}`
      if (client.socket.readyState !== WebSocket.OPEN) return
      published.push({ frame, node: i, sentAt: performance.now() })
      client.socket.send(`publish ${TOPIC} ${frame}`)
      await sleep(2 * pauseMs)
    }
  })
  t.after(() => {
    isOver = true
    for (const { client } of watchers) client.socket.terminate()
  })
  const lost = async (): Promise<number> =>
    (await Promise.all(nodes.map(samples))).reduce((sum, all) => sum + (all.publications_lost_total ?? 0), 0)
  const lostBefore = await lost()
  return {
    pushes,
    stop: async () => {
      isOver = true
      await Promise.all([...publishers, ...speakers])
    },
    repeatFailed: async () => {
      const failed = pushes.filter(({ answer }) => answer.status === 503)
      for (const one of failed) {
        assert.ok(one.answer.headers['retry-after'], 'a 503 has retry-after')
        assert.ok(one.answer.json.delivered >= SOCKETS, 'and the counts so far')
        one.answer = await push(nodes[(one.node + 1) % nodes.length]!, one.frame)
        assert.equal(one.answer.status, 200, `a repeat: ${one.answer.body}`)
      }
      return failed.length
    },
    check: async ({ hasKilled = false, isOrdered = false } = {}) => {
      const living = watchers.filter(({ client }) => client.socket.readyState === WebSocket.OPEN)
      const isOwed = ({ answer, node }: Push, watcher: Watcher): boolean =>
        answer.status === 200 || (node === watcher.node && !hasKilled)
      // Those who push hear of it before the clients do, and a publication may wait for Redis.
      const isSettled = async (): Promise<boolean> => {
        const missing = new Set<string>()
        for (const watcher of living) {
          const counts = framesOf(watcher)
          if (pushes.some((one) => isOwed(one, watcher) && !counts.has(one.frame))) return false
          for (const { frame } of published) if (!counts.has(frame)) missing.add(frame)
        }
        return hasKilled || missing.size <= (await lost()) - lostBefore
      }
      await until('what is promised arrives', isSettled, 15_000).catch(() => {}) // what is not there is named below
      const missing = new Set<string>()
      for (const watcher of living) {
        const counts = framesOf(watcher)
        for (const [frame, count] of counts) assert.equal(count, 1, `${frame} came ${count} times`)
        for (const one of pushes) {
          const { frame, answer, node } = one
          if (isOwed(one, watcher))
            assert.ok(
              counts.has(frame),
              `${frame} (${answer.status}, ${answer.body.trim()}) of node ${node} is missing at node ${watcher.node}`,
            )
        }
        for (const { frame } of published) if (!counts.has(frame)) missing.add(frame)
        for (const i of nodes.keys()) if (i === watcher.node) assertInOrder(watcher, `${run}h${i} `)
      }
      if (hasKilled) return missing.size
      for (const { answer } of pushes) {
        assert.ok([200, 503].includes(answer.status), `${answer.status} ${answer.body}`)
        if (answer.status === 200) assert.deepEqual(answer.json, { delivered: watchers.length, dropped: 0 })
      }
      const counted = (await lost()) - lostBefore
      assert.ok(missing.size <= counted, `${missing.size} publications are missing, ${counted} are counted`)
      if (isOrdered) for (const watcher of living) for (const i of nodes.keys()) assertInOrder(watcher, `${run}e${i} `)
      return missing.size
    },
    localLatency: (from, to) => {
      const times: number[] = []
      for (const watcher of watchers) {
        const at = new Map(watcher.arrivals.map((arrival) => [arrival.frame, arrival.at]))
        for (const { frame, node, sentAt } of [...pushes, ...published])
          if (node === watcher.node && sentAt >= from && sentAt < to && at.has(frame))
            times.push(at.get(frame)! - sentAt)
      }
      times.sort((a, b) => a - b)
      return times[Math.floor(times.length * 0.9)] ?? 0
    },
  }
}

/** Pushes for so long. */
export function during(ms: number): Promise<void> {
  return sleep(ms)
}
