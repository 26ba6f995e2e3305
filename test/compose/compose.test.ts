// `docker compose up`, with the project's own files.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Client } from '../support/client.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { until } from '../support/wait.ts'
import { noEngine, Stack } from './stack.ts'

/** The echo route, edited: it says which container answers. */
const WHO_ANSWERS = `
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'

export default async function echo (app: FastifyInstance) {
  app.ws('/ws/echo', { message: (request) => \`\${hostname()} \${request.body}\` })
}
`

suite('docker compose up', { skip: noEngine }, () => {
  let stack: Stack

  before(async () => {
    stack = new Stack()
    await stack.up()
  })
  after(() => stack?.remove())

  async function handlers(): Promise<string[]> {
    return (await stack.compose('ps', '--quiet', 'handler'))
      .trim()
      .split('\n')
      .map((id) => id.slice(0, 12))
      .sort()
  }

  async function answersAgain(socket: Client): Promise<void> {
    await until('an echo', async () => String(await socket.ask('there?')).endsWith('there?'), 30_000)
  }

  test('the published port has the page and sockets', async () => {
    const page = await fetch(`http://127.0.0.1:${stack.port}/`)
    assert.equal(page.status, 200)
    assert.match(await page.text(), /<html/)

    const socket = await stack.open('/ws/echo')
    assert.equal(await socket.ask('hello'), 'hello')
    socket.socket.terminate()
  })

  test('the handler can reach the control socket', async () => {
    const health = await stack.compose(
      'exec',
      '--no-TTY',
      'handler',
      'node',
      '--input-type=module',
      '--eval',
      `
      import { get } from 'node:http'
      get({ socketPath: process.env.CONTROL_SOCKET, path: '/healthz' }, (response) => {
        console.log(response.statusCode)
        process.exit()
      })`,
    )
    assert.equal(health.trim(), '200')
  })

  test('framegate publish in the handler’s container reaches a socket of the chat', async () => {
    const socket = await stack.open('/ws/chat/lobby')
    socket.socket.send('{"join":"Ada"}')
    assert.equal((await socket.json()).type ?? 'welcome', 'welcome')
    const said = await stack.compose(
      'exec',
      '--no-TTY',
      'handler',
      'framegate',
      'publish',
      'chat:lobby',
      'hello from the container',
    )
    assert.match(said, /1/)
    assert.equal(await socket.next(), 'hello from the container')
    socket.socket.terminate()
  })

  test('an open socket outlives a restart of the handler, and its event waits', async () => {
    const socket = await stack.open('/ws/echo')
    const restarted = stack.compose('restart', 'handler')
    assert.equal(await socket.ask('while it restarts'), 'while it restarts')
    await restarted
    assert.equal(await socket.ask('after it'), 'after it')
    socket.socket.terminate()
  })

  test('an open socket finds a handler that was made anew, under another address', async () => {
    const socket = await stack.open('/ws/echo')
    const before = await handlers()
    await stack.compose('up', '--detach', '--wait', '--no-deps', '--scale', 'handler=2', 'handler')
    await stack.compose('up', '--detach', '--wait', '--no-deps', '--force-recreate', '--scale', 'handler=1', 'handler')
    assert.notDeepEqual(await handlers(), before)
    await answersAgain(socket)
    socket.socket.terminate()
  })

  test('an edit of a route is seen without a build', async () => {
    const socket = await stack.open('/ws/echo')
    writeFileSync(join(stack.folder, 'handler/routes/echo.ts'), WHO_ANSWERS)
    const [handler] = await handlers()
    await until('the edited route', async () => (await socket.ask('who?')) === `${handler} who?`)
    socket.socket.terminate()
  })

  test('events are spread over all handlers', async () => {
    await stack.compose('up', '--detach', '--wait', '--no-deps', '--scale', 'handler=3', 'handler')
    const all = await handlers()
    assert.equal(all.length, 3)
    const socket = await stack.open('/ws/echo')
    const seen = new Set<string>()
    await until(
      'all three answered',
      async () => {
        seen.add(String(await socket.ask('who?')).split(' ')[0]!)
        return all.every((handler) => seen.has(handler))
      },
      30_000,
    )
    socket.socket.terminate()
  })

  test('SIGHUP takes a new location, and nothing from a file that is wrong', async () => {
    const socket = await stack.open('/ws/echo')
    const reload = async (text: string): Promise<void> => {
      writeFileSync(join(stack.folder, 'nginx/locations.d/mine.conf'), text)
      await stack.compose('kill', '--signal', 'HUP', 'gateway')
    }
    const status = async (): Promise<number> => (await fetchOnce(`http://127.0.0.1:${stack.port}/mine`)).status
    await reload('location = /mine { return 299; }\n')
    await until('the location is there', async () => (await status()) === 299)
    await reload('lokation = /mine { return 298; }\n')
    await until('nginx says no', async () =>
      (await stack.compose('logs', 'gateway')).includes('unknown directive "lokation"'),
    )
    assert.equal(await status(), 299)
    assert.match(String(await socket.ask('who?')), / who\?$/)
    socket.socket.terminate()
  })

  test('down does not wait for open sockets', async () => {
    const socket = await stack.open('/ws/echo')
    const started = performance.now()
    await stack.compose('down', '--volumes')
    await socket.closed
    assert.ok(performance.now() - started < 5_000, `it took ${Math.round(performance.now() - started)} ms`)
    assert.equal(await stack.compose('ps', '--all', '--quiet'), '')
  })
})
