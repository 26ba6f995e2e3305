// docs/upgrading.md, "With Docker Compose": `docker compose up` never runs an image that is older than the checkout.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { onlyBlock, page, section } from '../docs/markdown.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { noEngine, Stack } from './stack.ts'

suite('docker compose up after an upgrade', { skip: noEngine }, () => {
  let stack: Stack

  before(async () => {
    stack = new Stack()
    await stack.up()
  })
  after(() => stack?.remove())

  test('builds both images first, and closes sockets with 1001', async () => {
    const { services } = JSON.parse(await stack.compose('config', '--format', 'json'))
    for (const name of ['gateway', 'handler']) assert.equal(services[name].pull_policy, 'build', name)

    const version = async (): Promise<number> => (await fetchOnce(`http://127.0.0.1:${stack.port}/version`)).status
    assert.equal(await version(), 404)
    const socket = await stack.open('/ws/echo')
    const file = join(stack.folder, 'nginx/public.conf')
    const newer = readFileSync(file, 'utf8').replace(
      /^ *location \/ \{/m,
      '    location = /version { return 299; }\n$&',
    )
    writeFileSync(file, newer)

    const [, up] = onlyBlock(section(page('docs/upgrading.md'), '## With Docker Compose'), 'sh')
      .trim()
      .split('\n')
    await stack.compose(...up!.replace('docker compose ', '').split(' '), '--wait')
    assert.equal(await version(), 299)
    assert.equal((await socket.closed).code, 1001)
    const again = await stack.open('/ws/echo')
    assert.equal(await again.ask('hello'), 'hello')
    again.socket.terminate()
  })
})
