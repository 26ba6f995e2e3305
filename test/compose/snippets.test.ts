// The compose files of docs/bridge.md and docs/php.md, beside docker-compose.yml.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseEnv } from 'node:util'
import { Device } from '../bridge/support.ts'
import { onlyBlock, page, section, withFreePort } from '../docs/markdown.ts'
import { freePort } from '../support/free-port.ts'
import { noEngine, Stack } from './stack.ts'

const FILES = ['docker-compose.yml', 'docker-compose.override.yml']

/** Starts docker-compose.yml with this override. */
async function start(t: TestContext, override: string, prepare: (stack: Stack) => void = () => {}): Promise<Stack> {
  const stack = new Stack(FILES)
  t.after(() => stack.remove())
  writeFileSync(join(stack.folder, FILES[1]!), override)
  prepare(stack)
  stack.port = await freePort()
  await stack.compose('up', '--detach', '--wait', '--build')
  return stack
}

test('a bridge is healthy, and passes lines on', { skip: noEngine }, async (t) => {
  const snippet = onlyBlock(section(page('docs/bridge.md'), '## With Docker Compose'), 'yaml')
  const published = await withFreePort('9000:', 9000)
  const override = snippet.replace('/ws/devices', '/ws/echo').replace('9000:', `127.0.0.1:${published.text}`)
  const stack = await start(t, override)
  const device = new Device(published.port).write('one\ntwo')
  device.socket.end()
  assert.equal(await device.all(), 'one\ntwo\n')
  assert.match(await stack.compose('ps', 'bridge'), /\(healthy\)/)
})

/** Why php-fpm's image is not here, or false. */
function noImage(image: string): string | false {
  if (spawnSync('docker', ['image', 'inspect', image]).status === 0) return false
  return (
    spawnSync('docker', ['pull', '--quiet', image], { timeout: 60_000 }).status !== 0 && `${image} cannot be pulled`
  )
}

const SCRIPT = `<?php
require '/srv/app/framegate.php';
$event = Framegate\\Event::read();
if ($event->type === 'open') header('ws-subscribe: news');
if ($event->type !== 'message') exit(http_response_code(204));
header('content-type: text/plain');
if ($event->data === 'push') (new Framegate\\Gateway())->publish('news', 'it rains');
echo "php got $event->data";
`

test('php-fpm answers events, and pushes', { skip: noEngine || noImage('php:8.4-fpm') }, async (t) => {
  const snippets = section(page('docs/php.md'), '## With Docker Compose')
  const stack = await start(t, onlyBlock(snippets, 'yaml'), (stack) => {
    stack.variables = parseEnv(onlyBlock(snippets, 'ini')) as Record<string, string>
    mkdirSync(join(stack.folder, 'app'))
    copyFileSync(join(stack.folder, 'php/framegate.php'), join(stack.folder, 'app/framegate.php'))
    writeFileSync(join(stack.folder, 'app/socket.php'), SCRIPT)
  })
  const client = await stack.open('/ws/any')
  assert.equal(await client.ask('hello'), 'php got hello')
  client.socket.send('push')
  assert.deepEqual([await client.next(), await client.next()], ['it rains', 'php got push'])
  await client.close()
})
