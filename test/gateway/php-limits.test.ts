/** php-fpm at its limits: large headers, a pool that is full, and one that is reloaded under load. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { areEchoed, Client, open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { startPhp } from '../support/php.ts'
import { until } from '../support/wait.ts'

/** Open and close have no answer; what follows is for messages. */
const MESSAGE = `<?php
if ($_SERVER['HTTP_CE_TYPE'] !== 'framegate.message') {
    http_response_code(204);
    exit;
}
header('content-type: text/plain');
$text = file_get_contents('php://input');
`

const TOO_LARGE = 'the event could not be sent to the handler: its headers are too large'
const NAMES = ['x-a', 'x-b', 'x-c', 'x-d', 'x-e', 'x-f', 'x-g']

test('an event whose headers are over 64 KB together is refused with 502, and its socket stays', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'large.php',
    `${MESSAGE}
    if ($text === 'grow') header('ws-state: ' . str_repeat('%20', 4000));
    echo strlen($_SERVER['HTTP_X_A'] . $_SERVER['HTTP_X_G']);`,
  )
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_URL: php.url(script), HANDSHAKE_HEADERS: NAMES.join(', ') },
  })
  const headers = Object.fromEntries(NAMES.map((name) => [name, 'x'.repeat(8000)]))
  const client = await open(`${gateway.ws}/ws/a`, { headers })
  assert.equal(await client.ask('x'), '16000')
  assert.equal(await client.ask('grow'), '16000')
  for (let i = 0; i < 2; i++) {
    const { statusCode, message } = JSON.parse(String(await client.ask('x')))
    assert.deepEqual([statusCode, message], [502, TOO_LARGE])
  }
  await client.close()
  await until('the close event is in the log', () => gateway.log().includes(`/close: ${TOO_LARGE}`))

  const refused = new Client(`${gateway.ws}/ws/a?${'y'.repeat(6000)}`, { headers })
  const response = await new Promise<any>((resolve) => refused.socket.once('unexpected-response', (_, r) => resolve(r)))
  assert.equal(response.statusCode, 502)
})

test('a full pool: events wait in its queue, the slow ones get 504, and pages of the site wait for no idle child', async (t) => {
  const php = await startPhp(t, { children: 2, more: 'listen.backlog = 1' })
  const script = php.script(
    'hang.php',
    `${MESSAGE}
    while ($text === 'hang' && !file_exists('${php.folder}/go')) { usleep(10000); clearstatcache(); }
    echo $text;`,
  )
  const page = php.script('page.php', '<?php echo "page of $_GET[name]";')
  const gateway = await startGateway(t, {
    handler: false,
    env: {
      HANDLER_URL: php.url(script),
      HANDLER_TIMEOUT: '4s',
      HANDLER_CONCURRENCY: '64',
      MAX_CONNECTIONS_PER_IP: 'off',
    },
    locations: `location = /page {
      fastcgi_param SCRIPT_FILENAME ${page};
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_pass unix:${php.folder}/php.sock;
    }`,
  })
  const show = async (): Promise<string> => (await fetch(`${gateway.url}/page?name=Ada`)).text()
  assert.equal(await show(), 'page of Ada')
  const clients = await Promise.all(Array.from({ length: 40 }, () => open(`${gateway.ws}/ws/a`)))
  for (let round = 0; round < 2; round++) {
    await areEchoed(clients, `round ${round}`)
    assert.equal(await show(), 'page of Ada')
  }
  const [one, two] = clients
  for (const client of [one!, two!]) client.socket.send('hang')
  for (const client of [one!, two!]) assert.equal((await client.json()).statusCode, 504)
  writeFileSync(`${php.folder}/go`, '')
  assert.equal(await show(), 'page of Ada')
  for (const client of [one!, two!]) assert.equal(await client.ask('fine'), 'fine')
  await Promise.all(clients.map((client) => client.close()))
})

test('a pool whose children are killed at a reload: no event runs twice, and each that is lost has an error frame', async (t) => {
  const php = await startPhp(t, { grace: 0 })
  const ran = `${php.folder}/ran`
  // Appended in one write. A signal may end the wait for a lock, and then nothing is written.
  const script = php.script(
    'count.php',
    `${MESSAGE} file_put_contents('${ran}', "$text\\n", FILE_APPEND); usleep(20000); echo $text;`,
  )
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: php.url(script) } })
  const clients = await Promise.all(Array.from({ length: 10 }, () => open(`${gateway.ws}/ws/a`)))
  const errors: string[] = []
  const answered: string[] = []
  let isOver = false
  const load = clients.map(async (client, i) => {
    for (let n = 0; !isOver; n++) {
      const text = `${i}:${n}`
      const answer = String(await client.ask(text))
      if (answer === text) answered.push(text)
      else {
        assert.match(answer, /"statusCode":50[24]/)
        errors.push(text)
      }
    }
  })
  for (let i = 0; i < 3 || errors.length === 0; i++) {
    const before = answered.length
    await php.reload()
    await until('it answers again', () => answered.length > before + 20)
  }
  isOver = true
  await Promise.all(load)
  const lines = readFileSync(ran, 'utf8').trim().split('\n')
  assert.equal(new Set(lines).size, lines.length, 'none ran twice')
  assert.deepEqual(
    answered.filter((text) => !lines.includes(text)),
    [],
  )
  await Promise.all(clients.map((client) => client.close()))
})
