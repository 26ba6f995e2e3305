// docker-compose.cluster.yml: three gateways behind a plain nginx work as one, also after one of them was killed.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { onlyBlock, page, section } from '../docs/markdown.ts'
import { type Client, open } from '../support/client.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { until } from '../support/wait.ts'
import { noEngine, Stack } from './stack.ts'

/** As docs/cluster.md starts them. */
const UP = onlyBlock(section(page('docs/cluster.md'), '## With Docker Compose'), 'sh', / up$/m)
const FILES = [...UP.matchAll(/-f (\S+)/g)].map(([, file]) => file!)
const NAMES = { gateway: 'gateway-1', 'gateway-2': 'gateway-2', 'gateway-3': 'gateway-3' }
const GATEWAYS = Object.keys(NAMES)

suite('docker compose up with docker-compose.cluster.yml', { skip: noEngine }, () => {
  let stack: Stack
  /** The id of each gateway's node, by the name of its service. */
  const nodes = new Map<string, string>()
  let sockets: Client[] = []
  let killed: string

  before(async () => {
    stack = new Stack(FILES)
    await stack.up()
    await until('all gateways are in the cluster', async () => (await members()).length === 3, 30_000)
    for (const service of GATEWAYS) nodes.set(service, (await framegate(service, 'status')).node)
  })
  after(() => stack?.remove())

  /** What Redis knows of the nodes. */
  async function members(): Promise<Array<{ name: string }>> {
    const lines = await stack.compose('exec', '--no-TTY', 'redis', 'redis-cli', 'HVALS', 'framegate:nodes')
    return lines
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }

  /** What a command of `framegate` prints that asks one gateway, or any. */
  async function framegate(service: string, ...command: string[]): Promise<any> {
    const url = `CONTROL_URL=http://${service}:9000`
    return JSON.parse(await stack.compose('exec', '-T', '-e', url, 'handler', 'framegate', ...command, '--json'))
  }

  /** The service that holds the socket of a user; every gateway has to list it. */
  async function holderOf(user: string): Promise<string> {
    const lists = await Promise.all(GATEWAYS.map((service) => framegate(service, 'connections', '--user', user)))
    const ids: string[] = lists.map(({ connections }) => connections[0].id)
    assert.equal(new Set(ids).size, 1, `all gateways list the socket of ${user}`)
    return GATEWAYS.find((service) => nodes.get(service) === ids[0]!.slice(0, 4))!
  }

  /** A socket in the chat, once its name is known. */
  async function joined(name: string): Promise<Client> {
    const socket = await stack.open('/ws/chat/lobby')
    socket.socket.send(JSON.stringify({ join: name }))
    await until(`${name} is welcome`, async () => (await socket.json()).type === 'welcome')
    return socket
  }

  async function isEndOfAda(socket: Client): Promise<boolean> {
    const { type, name } = await socket.json(40_000)
    return type === 'left' && name === 'Ada'
  }

  async function said(socket: Client, text: string): Promise<void> {
    await until(`"${text}" arrives`, async () => (await socket.json()).text === text)
  }

  test('the gateways have names', async () => {
    assert.deepEqual((await members()).map(({ name }) => name).sort(), Object.values(NAMES))
  })

  test('the balancer has the page and spreads sockets over all gateways', async () => {
    const page = await fetchOnce(`http://127.0.0.1:${stack.port}/`)
    assert.equal(page.status, 200)
    for (const name of ['Ada', 'Bob', 'Cyd']) sockets.push(await joined(name))
    const holders = await Promise.all(['Ada', 'Bob', 'Cyd'].map(holderOf))
    assert.deepEqual(holders.sort(), GATEWAYS)
  })

  test('a message reaches the sockets of all gateways', async () => {
    for (const [i, sender] of sockets.entries()) {
      sender.socket.send(JSON.stringify({ say: `from ${i}` }))
      await Promise.all(sockets.map((socket) => said(socket, `from ${i}`)))
    }
  })

  test('the handler pushes over any gateway to the sockets of all', async () => {
    const publish = ['exec', '-T', 'handler', 'framegate', 'publish', 'chat:lobby', '{"text":"from the handler"}']
    assert.match(await stack.compose(...publish), /\b3\b/)
    await Promise.all(sockets.map((socket) => said(socket, 'from the handler')))
  })

  test('limits see the address of the client: not that of the balancer, and not one that a client makes up', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.7' }
    sockets.push(await open(`ws://127.0.0.1:${stack.port}/ws/echo`, { headers }))
    const { connections } = await framegate('gateways', 'connections')
    assert.equal(connections.length, 4)
    const addresses = new Set<string>(connections.map(({ address }: { address: string }) => address))
    assert.equal(addresses.size, 1)
    for (const wrong of ['10.213.47.10', headers['x-forwarded-for']]) assert.ok(!addresses.has(wrong), wrong)
    await sockets.pop()!.close()
  })

  test('after a gateway was killed, the others go on, and new sockets go to them', async () => {
    killed = await holderOf('Ada')
    await stack.compose('kill', killed)
    assert.equal((await sockets.shift()!.closed).code, 1006)
    await Promise.all(sockets.map((socket) => until('Ada has left', () => isEndOfAda(socket), 40_000)))
    sockets[0]!.socket.send('{"say":"who is here?"}')
    await Promise.all(sockets.map((socket) => said(socket, 'who is here?')))
    const newcomers = await Promise.all(['Dan', 'Eve', 'Fay'].map(joined))
    newcomers[0]!.socket.send('{"say":"hello"}')
    sockets.push(...newcomers)
    await Promise.all(sockets.map((socket) => said(socket, 'hello')))
  })

  test('the balancer starts while a gateway is down', async () => {
    await stack.compose('restart', '--timeout', '1', 'balancer')
    await Promise.all(sockets.map((socket) => socket.closed))
    sockets = await Promise.all(
      ['Gil', 'Hal'].map((name) => until(`${name} is in`, () => joined(name).catch(() => null))),
    )
  })

  test('a gateway that is back gets sockets again', async () => {
    await stack.compose('start', killed)
    await until(
      'a socket goes to it',
      async () => {
        const { node } = await framegate(killed, 'status').catch(() => ({ node: '' }))
        const socket = await joined('Ina').catch(() => undefined) // it may be the first to find the gateway half started
        if (socket) sockets.push(socket)
        const { connections } = await framegate('gateways', 'connections').catch(() => ({ connections: [] }))
        return node !== '' && connections.some(({ id }: { id: string }) => id.startsWith(node))
      },
      30_000,
    )
  })

  test('down closes sockets with 1001, and ends all of it', async () => {
    await stack.compose('down', '--volumes')
    for (const socket of sockets) assert.equal((await socket.closed).code, 1001)
    assert.equal(await stack.compose('ps', '--all', '--quiet'), '')
  })
})
