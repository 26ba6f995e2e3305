// Sockets that move among nodes while workers and nodes are killed or stop.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'
import { comeBack } from '../session/support.ts'
import { checkEnds, idsOf } from '../support/ends.ts'
import { type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, type Reply, startProbeHandler } from '../support/probe-handler.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { Publications, Traveller } from '../support/traveller.ts'
import { until } from '../support/wait.ts'
import { nodesInRedis, urlOf } from './support.ts'

const SEED = Number(process.env.SEED ?? randomInt(1_000_000))
const TOPICS = ['a', 'b', 'c']
const TRAVELLERS = 6

const accept: Reply = (event, response) => {
  if (event.type !== 'framegate.open') return void response.writeHead(204).end()
  const headers = {
    'ws-session': '120',
    'ws-subscribe': TOPICS.join(', '),
    'ws-user': 'ann',
    'content-type': 'text/plain',
  }
  response.writeHead(200, headers).end(`id ${event.headers['ce-connectionid']}`)
}

type Cluster = { nodes: Gateway[]; redis: Redis; handler: ProbeHandler }

/** Three nodes with one handler, which outlives them. */
async function start(t: TestContext): Promise<Cluster> {
  const redis = await startRedis(t)
  const folder = mkdtempSync(path.join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const socket = path.join(folder, 'handler.sock')
  const handler = await startProbeHandler(t, socket, accept)
  const env = {
    REDIS_URL: urlOf(redis),
    WORKERS: '2',
    MAX_CONNECTIONS_PER_IP: 'off',
    HANDLER_URL: `http://unix:${socket}`,
    STOP_SECONDS: '1',
  }
  const nodes = await Promise.all(
    [0, 1, 2].map((i) => startGateway(t, { handler: false, expect: [KILLED], env: { ...env, NODE_NAME: `node${i}` } })),
  )
  await nodesInRedis(redis, 3)
  return { nodes, redis, handler }
}

type Journey = { publications: Publications; travellers: Traveller[]; running: Promise<void>[]; living: Gateway[] }

/** Travellers among the nodes that live, and a publisher at each. */
async function depart(nodes: Gateway[], random: Random): Promise<Journey> {
  const living = [...nodes]
  const publications = new Publications()
  const travellers = Array.from(
    { length: TRAVELLERS },
    () => new Traveller('/ws/a', nodes[0]!.port, publications, random),
  )
  await Promise.all(travellers.map((traveller) => traveller.open()))
  TOPICS.forEach((topic, i) => publications.begin(() => living[i % living.length]!, topic))
  const running = travellers.map((traveller) => traveller.run(() => random.pick(living).port))
  return { publications, travellers, running, living }
}

async function arrive({ publications, travellers, running }: Journey): Promise<void> {
  for (const traveller of travellers) traveller.stop()
  await Promise.all(running)
  await Promise.all(travellers.map((traveller) => traveller.arrive(TOPICS)))
  await publications.stop()
  const faults = travellers.flatMap((traveller) => traveller.faults)
  assert.deepEqual(faults, [], `seed ${SEED}`)
}

function countOf({ travellers }: Journey): string {
  return `${travellers.reduce((sum, each) => sum + each.returns, 0)} returns`
}

test(`workers of 3 nodes are killed while sockets move: one close event for each that dies; seed ${SEED}`, async (t) => {
  const random = new Random(SEED)
  const { nodes, handler } = await start(t)
  const journey = await depart(nodes, random)
  for (let i = 0; i < 6; i++) {
    await pause(random.int(200, 1500))
    const node = random.pick(nodes)
    const worker = random.pick(node.workers())
    process.kill(worker, 'SIGKILL')
    await until('another worker runs', () => node.workers().length === 2 && !node.workers().includes(worker))
  }
  await arrive(journey)
  t.diagnostic(countOf(journey))
  const open = await checkEnds(nodes, handler, SEED)
  for (const traveller of journey.travellers) assert.ok(open.includes(traveller.ids.at(-1)!), `seed ${SEED}`)
})

test(`a node is killed while sockets move: no living socket gets a close event; seed ${SEED}`, async (t) => {
  const random = new Random(SEED)
  const { nodes, handler } = await start(t)
  const journey = await depart(nodes, random)
  await pause(random.int(1000, 3000))
  journey.living.splice(journey.living.indexOf(nodes[2]!), 1)
  await nodes[2]!.kill()
  await pause(random.int(1000, 3000))
  await arrive(journey)
  t.diagnostic(countOf(journey))
  const open = await checkEnds(journey.living, handler, SEED)
  for (const traveller of journey.travellers) assert.ok(open.includes(traveller.ids.at(-1)!), `seed ${SEED}`)
})

test('two nodes stop at once: the third takes all their sessions', async (t) => {
  const { nodes, handler } = await start(t)
  const clients = await Promise.all(
    Array.from({ length: 60 }, (_, i) => new SessionClient(nodes[i % 2]!.port, '/ws/a').dial()),
  )
  await Promise.all(clients.map((client) => client.next()))
  for (const client of clients) client.cut()
  await until('all are away', async () => {
    const { connections } = (await control(nodes[2]!, 'GET', '/connections?limit=1000')).json
    return connections.length === 60 && connections.every((each: any) => each.session.away !== undefined)
  })
  assert.equal((await control(nodes[2]!, 'POST', '/topics/a', 'a 1')).json.delivered, 60)
  assert.deepEqual(await Promise.all([nodes[0]!.quit(), nodes[1]!.quit()]), [0, 0])
  for (const client of clients) client.port = nodes[2]!.port
  await Promise.all(clients.map(comeBack))
  assert.ok(clients.every((client) => client.first.resumed))
  for (const client of clients) assert.equal(await client.next(), 'a 1')
  assert.deepEqual(idsOf(handler, 'framegate.close'), [])
})

for (const what of ['nonce', 'token'])
  test(`a client whose session frames are all cut finds its session at every node by its ${what}`, async (t) => {
    const { nodes, handler } = await start(t)
    const client = new SessionClient(nodes[0]!.port, '/ws/a')
    const nonce = client.token
    await client.dial()
    const key = what === 'nonce' ? nonce : client.token
    for (let i = 1; i <= 30; i++) {
      client.cut()
      client.token = key // as if it had read nothing
      client.port = nodes[i % 3]!.port
      await comeBack(client)
      assert.equal(client.first.resumed, true, `dial ${i}`)
    }
    assert.equal(handler.events.length, 1)
  })
