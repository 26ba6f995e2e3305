// Sockets that move while workers are killed or stand still: nothing comes twice, and only a death costs a session.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'
import { checkEnds, idsOf } from '../support/ends.ts'
import { type Gateway, KILLED, startGateway } from '../support/gateway.ts'
import { type ProbeHandler, type Reply, startProbeHandler } from '../support/probe-handler.ts'
import { control } from '../support/topic-gateway.ts'
import { Publications, Traveller } from '../support/traveller.ts'
import { until } from '../support/wait.ts'

const SEED = Number(process.env.SEED ?? randomInt(1_000_000))
const MOVES = Number(process.env.MOVES ?? 300)
const TOPICS = ['a', 'b']
const TRAVELLERS = 8

const accept: Reply = (event, response) => {
  if (event.type !== 'framegate.open') return void response.writeHead(204).end()
  const headers = {
    'ws-session': '60',
    'ws-subscribe': TOPICS.join(', '),
    'ws-user': 'ann',
    'content-type': 'text/plain',
  }
  response.writeHead(200, headers).end(`id ${event.headers['ce-connectionid']}`)
}

type Scene = { gateway: Gateway; handler: ProbeHandler; publications: Publications; travellers: Traveller[] }

async function begin(t: TestContext, random: Random, count: number): Promise<Scene> {
  const gateway = await startGateway(t, {
    handler: false,
    expect: [KILLED],
    env: { WORKERS: '4', MAX_CONNECTIONS_PER_IP: 'off' },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, accept)
  const publications = new Publications()
  const travellers = Array.from({ length: count }, () => new Traveller('/ws/a', gateway.port, publications, random))
  for (const topic of TOPICS) publications.begin(() => gateway, topic)
  return { gateway, handler, publications, travellers }
}

async function areLinked(gateway: Gateway): Promise<boolean> {
  const { json } = await control(gateway, 'GET', '/status').catch(() => ({ json: undefined }))
  return json?.workers?.length === 4 && json.missing_links === 0
}

async function finish({ gateway, handler, publications, travellers }: Scene, running: Promise<void>[]): Promise<void> {
  for (const traveller of travellers) traveller.stop()
  await Promise.all(running)
  await Promise.all(travellers.map((traveller) => traveller.arrive(TOPICS)))
  await publications.stop()
  const faults = travellers.flatMap(({ faults, gaps }) => [...faults, ...gaps])
  assert.deepEqual(faults, [], `seed ${SEED}`)
  const open = await checkEnds([gateway], handler, SEED)
  for (const traveller of travellers) assert.ok(open.includes(traveller.ids.at(-1)!), `seed ${SEED}: it has its socket`)
}

test(`${MOVES} returns under publishers that never stop leave nothing behind`, async (t) => {
  const scene = await begin(t, new Random(SEED), 4)
  const { gateway, handler, travellers } = scene
  await Promise.all(travellers.map((traveller) => traveller.open()))
  const running = travellers.map((traveller) => traveller.run(() => gateway.port))
  const returns = (): number => travellers.reduce((sum, each) => sum + each.returns, 0)
  await until(
    'they have returned often enough, and their user is there all the time',
    async () => {
      const { delivered, dropped } = (await control(gateway, 'POST', '/users/ann', 'user x')).json
      assert.ok(delivered >= 4, `${delivered} delivered, ${dropped} dropped, seed ${SEED}`)
      return returns() >= MOVES
    },
    120_000,
  )
  await finish(scene, running)
  assert.equal(handler.events.length, 4)
  for (const { client } of travellers) client.raw.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
  await until('all have closed', () => idsOf(handler, 'framegate.close').length === 4)
  assert.deepEqual(await checkEnds([gateway], handler, SEED), [])
})

/** Does something to a worker at random moments. */
async function disturb(scene: Scene, random: Random, times: number, run: (worker: number) => Promise<void>) {
  for (let i = 0; i < times; i++) {
    await pause(random.int(50, 700))
    const workers = scene.gateway.workers()
    await run(workers[random.int(0, workers.length - 1)]!)
    // Another worker notices one that was killed within 10 s.
    await until('all workers are linked again', () => areLinked(scene.gateway), 30_000)
  }
}

for (const round of [0, 1, 2]) {
  test(`workers are killed while sockets move: one close event for each that dies; seed ${SEED} + ${round}`, async (t) => {
    const random = new Random(SEED + round)
    const scene = await begin(t, random, TRAVELLERS)
    const running = scene.travellers.map((traveller) => traveller.run(() => scene.gateway.port))
    await disturb(scene, random, 5, async (worker) => {
      process.kill(worker, 'SIGKILL')
      await until('it is gone', () => !scene.gateway.workers().includes(worker))
    })
    await finish(scene, running)
    t.diagnostic(`${scene.travellers.reduce((sum, each) => sum + each.returns, 0)} returns`)
  })
}

test(`a worker stands still while sockets move: no session ends, and nothing is lost; seed ${SEED}`, async (t) => {
  const random = new Random(SEED)
  const scene = await begin(t, random, TRAVELLERS)
  const running = scene.travellers.map((traveller) => traveller.run(() => scene.gateway.port))
  await disturb(scene, random, 3, async (worker) => {
    process.kill(worker, 'SIGSTOP')
    await pause(random.int(500, 2500))
    process.kill(worker, 'SIGCONT')
  })
  await finish(scene, running)
  assert.equal(scene.handler.events.length, TRAVELLERS)
})
