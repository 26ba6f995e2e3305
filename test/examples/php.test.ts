// examples/php runs as its files are, in a pool of the test's own; and framegate.php does what its comments promise.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { checkChat } from '../docs/recipes/recipe.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, project, startGateway } from '../support/gateway.ts'
import { type PhpPool, startPhp } from '../support/php.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'

const EXAMPLE = join(project, 'examples/php')
const LIBRARY = join(project, 'php/framegate.php')

async function startExample(t: TestContext): Promise<{ php: PhpPool; gateway: Gateway }> {
  const php = await startPhp(t)
  copyFileSync(LIBRARY, join(php.folder, 'framegate.php'))
  for (const file of ['chat.php', 'classic.php', 'push.php']) copyFileSync(join(EXAMPLE, file), join(php.folder, file))
  const locations = readFileSync(join(EXAMPLE, 'php.conf'), 'utf8')
    .replaceAll('/run/php/php-fpm.sock', `${php.folder}/php.sock`)
    .replaceAll('/srv/app', php.folder)
  return { php, gateway: await startGateway(t, { handler: false, locations }) }
}

const run = promisify(execFile)

test('the chat, and a push from the shell', async (t) => {
  const { php, gateway } = await startExample(t)
  await checkChat(gateway)
  const ada = await open(`${gateway.ws}/ws/chat/hall?name=Ada`)
  const bob = await open(`${gateway.ws}/ws/chat/hall?name=Bob`)
  const env = { ...process.env, CONTROL_SOCKET: `${gateway.run}/control/control.sock` }
  const { stdout } = await run('php', [join(php.folder, 'push.php'), 'hall', 'it rains'], { env })
  assert.equal(stdout, '2\n')
  for (const client of [ada, bob]) assert.equal(await client.next(), 'it rains')
  await ada.close()
  assert.equal(await bob.next(), 'Ada left')
  await bob.close()
})

test('a script that knows nothing of sockets', async (t) => {
  const { gateway } = await startExample(t)
  const client = await open(`${gateway.ws}/ws/classic?room=7`)
  assert.deepEqual(await client.json(), { ok: false, text: '', room: '7', from: '127.0.0.1' })
  client.socket.send('text=hello+there')
  assert.deepEqual(await client.json(), { ok: true, text: 'HELLO THERE', room: '7', from: '127.0.0.1' })
  client.socket.send('room=8&text=x')
  assert.deepEqual(await client.json(), { ok: true, text: 'X', room: '8', from: '127.0.0.1' })
  await client.close()
})

const EVERYTHING = `<?php
require __DIR__ . '/framegate.php';
$event = Framegate\\Event::read();
$reply = new Framegate\\Reply();
if ($event->type === 'open') {
    $reply->user('zoë')->subscribe('a', 'b')->state('ü %41')->send(['path' => $event->path, 'number' => $event->number]);
} elseif ($event->type === 'alarm') {
    $reply->send('alarm');
} elseif ($event->type === 'close') {
    file_put_contents(__DIR__ . '/closed', "$event->closeCode $event->closeReason " . ($event->duration >= 0 ? 'after' : ''));
} elseif ($event->isBinary) {
    $reply->sendBytes(strrev($event->data));
} else {
    $order = $event->json();
    match ($order['do']) {
        'state' => $reply->send("$event->state $event->user"),
        'alarm' => $reply->alarm(0.05),
        'leave' => $reply->unsubscribe('b')->publish('b', 'left'),
        'publish' => $reply->publish('a', ['n' => 1.0])->publish('a', 'others', exceptSelf: true),
        'nothing' => null,
        'close' => $reply->send('bye')->close(4000, 'on öñ purpose'),
    };
}
$reply->write();
`

test('framegate.php reads every event and writes every effect', async (t) => {
  const php = await startPhp(t)
  copyFileSync(LIBRARY, join(php.folder, 'framegate.php'))
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_URL: php.url(php.script('everything.php', EVERYTHING)) },
  })
  const client = await open(`${gateway.ws}/ws/gr%C3%BCn?x`)
  const say = (text: string): void => client.socket.send(JSON.stringify({ do: text }))
  assert.deepEqual(await client.json(), { path: '/ws/grün', number: 0 })
  say('state')
  assert.equal(await client.next(), 'ü %41 zoë')
  say('alarm')
  assert.equal(await client.next(), 'alarm')
  client.socket.send(Buffer.from([0, 1, 255]))
  assert.deepEqual(await client.next(), Buffer.from([255, 1, 0]))
  for (const text of ['leave', 'nothing', 'publish', 'close']) say(text)
  assert.equal(await client.next(), '{"n":1.0}')
  assert.equal(await client.next(), 'bye')
  assert.deepEqual(await client.closed, { code: 4000, reason: 'on öñ purpose' })
  await until('the close event', () => {
    try {
      return readFileSync(join(php.folder, 'closed'), 'utf8') === '4000 on öñ purpose after'
    } catch {
      return false
    }
  })
})

const PUSHES = `<?php
require $argv[1];
$gateway = new Framegate\\Gateway();
$seen = [
    $gateway->publish('a', 'text'),
    $gateway->publish('a', "\\xff\\x00"),
    $gateway->user('zoë', ['n' => 1], $argv[2]),
    $gateway->broadcast(''),
    $gateway->send($argv[2], 'one'),
];
try {
    $gateway->send('gone', 'x');
} catch (Framegate\\GatewayException $error) {
    $seen[] = [$error->getCode(), $error->getMessage()];
}
$seen[] = count($gateway->request('GET', '/connections')['connections']);
$gateway->close($argv[2], 4000, 'über & out');
try {
    (new Framegate\\Gateway('http://127.0.0.1:1'))->broadcast('x');
} catch (Framegate\\GatewayException $error) {
    $seen[] = $error->getCode();
}
echo json_encode($seen);
`

test('framegate.php pushes over the unix socket, and over TCP with a token', async (t) => {
  const php = await startPhp(t)
  copyFileSync(LIBRARY, join(php.folder, 'framegate.php'))
  const [port, token] = [await freePort(), 'a-long-random-token']
  const gateway = await startGateway(t, {
    handler: false,
    env: {
      HANDLER_URL: php.url(php.script('everything.php', EVERYTHING)),
      CONTROL_PORT: `127.0.0.1:${port}`,
      CONTROL_TOKEN: token,
    },
  })
  const script = php.script('pushes.php', PUSHES)
  const one = { delivered: 1, dropped: 0 }
  for (const env of [
    { CONTROL_SOCKET: `${gateway.run}/control/control.sock` },
    { CONTROL_URL: `http://127.0.0.1:${port}/`, CONTROL_TOKEN: token },
  ]) {
    const client = await open(`${gateway.ws}/ws/a`)
    await client.next()
    const list = JSON.parse(
      (await run('curl', ['-s', '--unix-socket', `${gateway.run}/control/control.sock`, 'http://g/connections']))
        .stdout,
    )
    const id = list.connections[0].id
    const { stdout } = await run('php', [script, join(php.folder, 'framegate.php'), id], {
      env: { ...process.env, ...env },
    })
    const gone = [410, 'this connection is gone, or never was']
    assert.deepEqual(JSON.parse(stdout), [one, one, { delivered: 0, dropped: 0 }, one, one, gone, 1, 0])
    assert.deepEqual(
      [await client.next(), await client.next(), await client.next(), await client.next()],
      ['text', Buffer.from([255, 0]), '', 'one'],
    )
    assert.deepEqual(await client.closed, { code: 4000, reason: 'über & out' })
    await until('it is gone', async () => (await control(gateway, 'GET', '/connections')).json.count === 0)
    assert.equal(gateway.log(), '')
  }
})
