// The commands of docs/cluster.md work as they are written there: two nodes in two terminals, and the user of Redis.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { folder, READY, run } from '../cli/framegate.ts'
import { files, read } from '../project/files.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { askSocket } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { control, subscribers, topicGateway } from '../support/topic-gateway.ts'
import { areUp, untilNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'
import { printed, runsOf, shell } from './console.ts'
import { blocks, onlyBlock, page, section } from './markdown.ts'

const PAGE = page('docs/cluster.md')
const ACCESS = section(PAGE, '### Access')

test('two nodes in two terminals are one room', async (t) => {
  const walk = section(PAGE, '## Try it in two terminals')
  const [runOne, runTwo, redis, one, two] = [folder(t), folder(t), await freePort(), await freePort(), await freePort()]
  const here = (text: string): string =>
    text
      .replaceAll('/tmp/framegate-two', runTwo)
      .replaceAll(/(?<=unix-socket )run\//g, `${runOne}/`)
      .replaceAll('6380', String(redis))
      .replaceAll('8081', String(two))
      .replaceAll('npm start', `exec ${process.execPath} cli/framegate.ts start`)
  const [first, second, last] = blocks(walk, 'sh').map(({ text }) => here(text).trim().split('\n'))
  assert.deepEqual([first!.length, second!.length, last!.length], [2, 1, 1])

  execFileSync('sh', ['-c', first![0]!])
  t.after(() => shell(last![0]!))
  const nodes = [
    run(t, 'sh', ['-c', first![1]!], { PORT: String(one), RUN_DIR: runOne }),
    run(t, 'sh', ['-c', second![0]!]),
  ]
  await Promise.all(nodes.map((node) => node.said(READY)))
  for (const place of [runOne, runTwo])
    await until('both are in the cluster', async () =>
      areUp(2)(JSON.parse((await askSocket('/nodes', `${place}/control/control.sock`)).body)),
    )
  const room = await Promise.all([one, two].map((port) => open(`ws://127.0.0.1:${port}/ws/chat/lobby`)))
  const runs = blocks(walk, 'console').flatMap(({ text }) => runsOf(text))
  assert.equal(runs.length, 2)
  for (const { command, output } of runs) {
    assert.deepEqual(printed(await shell(here(command))), printed(output))
    const [, frame] = /-d '(.*)'/.exec(command)!
    for (const socket of room) assert.equal(await socket.next(), frame)
  }
  for (const node of nodes) node.process.kill('SIGINT')
  for (const node of nodes) assert.equal(await node.ended, 0, node.output())
})

/** The words of the one command that makes the user of Redis. */
function rulesOfUser(): { name: string; password: string; rules: string[] } {
  const command = onlyBlock(ACCESS, 'sh', /ACL SETUSER/)
  const words = execFileSync('sh', ['-c', command.replace('redis-cli ACL SETUSER', "printf '%s\\n'")], {
    encoding: 'utf8',
  })
  const [name, ...rules] = words.trim().split('\n')
  return { name: name!, password: rules.find((rule) => rule.startsWith('>'))!.slice(1), rules }
}

/** Two nodes that use Redis as the user of the page, each with a socket. */
async function pair(t: TestContext) {
  const { name, password, rules } = rulesOfUser()
  const redis = await startRedis(t, { lines: [`user ${name} ${rules.join(' ')}`] })
  const url = `redis://${name}:${password}@127.0.0.1:${redis.port}/1`
  const env = { WORKERS: '2', REDIS_URL: url, TIMERS: '1s /ws/timers/tick', HISTORY: 'kept=10/1m' }
  const [here, there] = await Promise.all([topicGateway(t, { env }), topicGateway(t, { env })])
  for (const gateway of [here, there]) await untilNodes(gateway, 'both nodes are up', areUp(2))
  const [[near], [far]] = await Promise.all([subscribers(here, 1), subscribers(there, 1)])
  return { redis, here, there, near: near!, far: far! }
}

test('the user of Redis may do all that a pair of nodes does, and no more', async (t) => {
  const { name, password } = rulesOfUser()
  assert.match(onlyBlock(ACCESS, 'sh', /npm start/), new RegExp(`^REDIS_URL=redis://${name}:${password}@`))
  const { redis, here, there, near, far } = await pair(t)

  const publish = () => control(here, 'POST', '/topics/news', 'over a topic')
  assert.deepEqual(await publish(), { status: 200, json: { delivered: 2, dropped: 0 } })
  for (const { client } of [near, far]) assert.equal(await client.next(), 'over a topic')
  assert.equal((await control(here, 'POST', `/connections/${far.id}`, 'to one')).status, 200)
  assert.equal(await far.client.next(), 'to one')
  assert.equal((await control(there, 'GET', '/connections')).json.count, 2)

  assert.equal((await control(here, 'PUT', `/topics/kept/connections/${far.id}?last=5`)).status, 204)
  assert.equal((await control(here, 'POST', '/topics/kept', 'a kept frame')).json.delivered, 1)
  assert.equal(await far.client.next(), 'a kept frame')
  assert.equal((await control(there, 'GET', '/topics/kept/messages')).json.messages.length, 1)

  await redis.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until('the nodes are linked again', async () => (await publish()).json.delivered === 2, 30_000) // 5 s for each publish
  await near.client.close()
  await there.quit()
  await until('one node has left', async () => (await control(here, 'GET', '/connections')).json.count === 0)
  assert.equal(await redis.ask('ACL', 'LOG'), '*0\r\n', 'Redis has refused nothing')

  const refused = (...command: string[]): Promise<string> =>
    shell(`redis-cli -p ${redis.port} --no-auth-warning --user ${name} --pass ${password} ${command.join(' ')} 2>&1`)
  for (const command of [
    ['GET', 'other'],
    ['PUBLISH', 'other', 'x'],
    ['KEYS', "'*'"],
    ['CONFIG', 'GET', 'dir'],
    ['FLUSHALL'],
  ])
    assert.match(await refused(...command), /NOPERM/, command.join(' '))
})

test('the user of Redis may clean up after a node that was killed', async (t) => {
  const { redis, here, there, near, far } = await pair(t)
  process.kill(there.pid, 'SIGSTOP') // or it would start new workers
  for (const pid of [...there.workers(), there.pid]) process.kill(pid, 'SIGKILL')
  await far.client.closed
  const publish = () => control(here, 'POST', '/topics/news', 'to the rest')
  await until('nobody waits for it any more', async () => (await publish()).status === 200, 40_000)
  assert.equal(await near.client.next(), 'to the rest')
  const graves = `redis-cli -p ${redis.port} -n 1 exists framegate:graves framegate:records:${far.id.slice(0, 4)}`
  await until('nothing of it is left', async () => (await shell(graves)) === '0\n', 30_000) // its lease is 9 s
  assert.equal(await redis.ask('ACL', 'LOG'), '*0\r\n', 'Redis has refused nothing')
})

test('the user of Redis has every command that the gateway uses', () => {
  const code = files('lua/framegate/cluster/*.lua').map(read).join('\n')
  const used = [
    ...code.matchAll(/redis\.call\('([A-Z]+)'(?:, '([A-Z]+)'(?=,))?/g),
    ...code.matchAll(/:command\([^"]*"([A-Z]+)"(?:, "([A-Z]+)")?/g),
    ...code.matchAll(/\{ "([A-Z]+)", (?!3)/g),
  ].map(
    ([, command, sub]) =>
      command!.toLowerCase() + (sub && /^(?:PUBSUB|CLIENT)$/.test(command!) ? `|${sub.toLowerCase()}` : ''),
  )
  const { rules } = rulesOfUser()
  const missing = [...new Set(used)].filter((command) => !rules.includes(`+${command}`) && command !== 'sentinel')
  assert.ok(used.length > 10, `${used.length} commands`)
  assert.deepEqual(missing, [])
})
