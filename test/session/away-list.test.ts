// GET /connections?away=: only the sockets whose clients are away, or only the others, over all workers and nodes.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Gateway as Api } from '../../plugin/gateway/gateway.ts'
import { commandFor } from '../push/command.ts'
import type { Gateway } from '../support/gateway.ts'
import { ask, controlSocket, pushGateway } from '../support/push-gateway.ts'
import { SessionClient } from '../support/session-client.ts'
import { startTwoNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

const ENV = { SESSION_SECONDS: '60' }

/** Opens so many sessions at each of these gateways, of which some lose their clients. */
async function begin(t: TestContext, gateways: Gateway[], count: number, lost: number): Promise<void> {
  for (const gateway of gateways) {
    const clients = await Promise.all(
      Array.from({ length: count }, () => new SessionClient(gateway.port, '/ws/in/news').dial()),
    )
    t.after(() => clients.forEach((client) => void client.cut()))
    for (const client of clients.slice(0, lost)) client.cut()
  }
}

const countOf = async (gateway: Gateway, query: string): Promise<number> =>
  (await ask(gateway, 'GET', `/connections?limit=1&${query}`)).json.count

/** The ids of both lists, read in pages of three, which together are all. */
async function lists(gateway: Gateway, away: number, here: number): Promise<void> {
  await until('they are away', async () => (await countOf(gateway, 'away=true')) === away)
  assert.deepEqual([await countOf(gateway, 'away=false'), await countOf(gateway, '')], [here, away + here])
  const api = new Api({ url: `unix:${controlSocket(gateway)}` })
  const ids = async (wanted: { away?: boolean; topic?: string }): Promise<string[]> => {
    const found: string[] = []
    for await (const { id, session } of api.everyConnection({ ...wanted, limit: 3 })) {
      if (wanted.away !== undefined) assert.equal(session?.away !== undefined, wanted.away)
      found.push(id)
    }
    return found
  }
  const [all, gone, rest] = [await ids({}), await ids({ away: true }), await ids({ away: false })]
  assert.deepEqual([gone.length, rest.length], [away, here])
  assert.deepEqual([...gone, ...rest].sort(), all)
  assert.deepEqual(await ids({ away: true, topic: 'news' }), gone)
  api.end()
}

test('over four workers, page by page; the command lists them', async (t) => {
  const gateway = await pushGateway(t, { ...ENV, WORKERS: '4' })
  await begin(t, [gateway], 20, 11)
  await lists(gateway, 11, 9)
  const { stdout } = await commandFor(gateway)(['connections', '--away', '--limit', '4'])
  assert.match(stdout, /\n4 of 11 connections\n$/)
  assert.equal(stdout.match(/ away \d+ s /g)?.length, 4)
  for (const value of ['', 'yes', '1']) {
    const { status, json } = await ask(gateway, 'GET', `/connections?away=${value}`)
    assert.deepEqual([status, json.detail], [400, 'away is true or false'])
  }
})

test('over two nodes, asked at either', async (t) => {
  const { north, south } = await startTwoNodes(t, { env: () => ENV })
  await begin(t, [north, south], 6, 4)
  for (const gateway of [north, south]) await lists(gateway, 8, 4)
  assert.equal(await countOf(north, 'away=true&node=south'), 4)
})
