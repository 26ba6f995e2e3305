/** Handlers over FastCGI: a php-fpm of the test's own, and scripts that know nothing of FastCGI. */
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
`

const ECHO = `${MESSAGE}
header('content-type: ' . ($_SERVER['CONTENT_TYPE'] === 'application/octet-stream' ? 'application/octet-stream' : 'text/plain'));
echo file_get_contents('php://input');
`

test('a script gets frames and answers frames: text, binary, large, many', async (t) => {
  const php = await startPhp(t, { more: 'php_admin_value[memory_limit] = 256M' })
  const env = { HANDLER_URL: php.url(php.script('echo.php', ECHO)), MAX_MESSAGE_BYTES: '16m' }
  const gateway = await startGateway(t, { handler: false, env })
  const client = await open(`${gateway.ws}/ws/a`)
  assert.equal(await client.ask('hello'), 'hello')
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  client.socket.send(bytes)
  assert.deepEqual(await client.next(), bytes)
  for (const length of [1, 65_527, 65_528, 65_529, 131_056, 7 * 1024 * 1024]) {
    const text = 'x'.repeat(length)
    assert.ok((await client.ask(text)) === text, `${length} bytes`)
  }
  for (let i = 0; i < 200; i++) assert.equal(await client.ask(`${i}`), `${i}`)
  await client.close()
  assert.equal(gateway.log(), '')
})

test('headers are parameters, and a form is $_POST', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'facts.php',
    `${MESSAGE}
    header('content-type: application/json');
    echo json_encode(['get' => $_GET, 'post' => $_POST, 'request' => $_REQUEST, 'cookie' => $_COOKIE, 'server' => $_SERVER]);`,
  )
  const gateway = await startGateway(t, {
    handler: false,
    locations: `location /ws/form/ { set $ws_handler "${php.url(script)}"; set $ws_text form; include socket.conf; }`,
  })
  const client = await open(`${gateway.ws}/ws/form/a%2Fb?room=1`, { headers: { cookie: 'a=b', proxy: 'http://evil' } })
  const facts = JSON.parse(String(await client.ask('text=hi+there&n=2')))
  assert.deepEqual(facts.get, { room: '1' })
  assert.deepEqual(facts.post, { text: 'hi there', n: '2' })
  assert.deepEqual(facts.request, { room: '1', text: 'hi there', n: '2' })
  assert.deepEqual(facts.cookie, { a: 'b' })
  const { server } = facts
  assert.equal(server.REQUEST_METHOD, 'POST')
  assert.equal(server.REQUEST_URI, '/ws/form/a%2Fb?room=1')
  assert.equal(server.QUERY_STRING, 'room=1')
  assert.equal(server.CONTENT_TYPE, 'application/x-www-form-urlencoded')
  assert.equal(server.CONTENT_LENGTH, '17')
  assert.equal(server.REMOTE_ADDR, '127.0.0.1')
  assert.equal(server.HTTP_X_FORWARDED_FOR, '127.0.0.1')
  assert.deepEqual([server.SERVER_NAME, server.SERVER_PORT], ['127.0.0.1', String(gateway.port)])
  assert.deepEqual([server.SCRIPT_FILENAME, server.SCRIPT_NAME], [script, '/facts.php'])
  assert.equal(server.DOCUMENT_ROOT, php.folder)
  assert.equal(server.HTTP_CE_TYPE, 'framegate.message')
  assert.match(server.HTTP_CE_ID, /\/1$/)
  assert.equal(server.HTTP_PROXY, undefined)
  assert.equal(server.HTTP_CONTENT_LENGTH, undefined)
  await client.close()
})

test('effects by header(), cookies and a session, as in a page', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'effects.php',
    `<?php
    session_start();
    $_SESSION['events'] = ($_SESSION['events'] ?? 0) + 1;
    switch ($_SERVER['HTTP_CE_TYPE']) {
        case 'framegate.open':
            header('ws-subscribe: news');
            header('ws-user: ' . $_GET['user']);
            header('ws-state: 0');
            http_response_code(204);
            break;
        case 'framegate.message':
            $text = file_get_contents('php://input');
            if ($text === 'bye') header('ws-close: 4001 good%20bye');
            header('ws-state: ' . ($_SERVER['HTTP_CE_STATE'] + 1));
            header('content-type: text/plain');
            echo "$_SERVER[HTTP_CE_STATE] $_SESSION[events]";
    }`,
  )
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: php.url(script) } })
  const client = new Client(`${gateway.ws}/ws/a?user=zoe`)
  const headers = await new Promise<any>((resolve) => client.socket.once('upgrade', ({ headers }) => resolve(headers)))
  await client.opened
  const cookie = String(headers['set-cookie']).split(';')[0]!
  assert.match(cookie, /^PHPSESSID=/)
  assert.equal(await client.ask('x'), '0 1', 'the socket has no cookie yet: it began a session that it does not have')
  const second = await open(`${gateway.ws}/ws/a?user=zoe`, { headers: { cookie } })
  assert.equal(await second.ask('x'), '0 3')
  assert.equal(await second.ask('x'), '1 4')
  second.socket.send('bye')
  assert.equal(await second.next(), '2 5')
  assert.deepEqual(await second.closed, { code: 4001, reason: 'good bye' })
  await client.close()
})

test('a fatal error is an error frame and the socket stays; a script that is not there refuses', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'fatal.php',
    `${MESSAGE} header('content-type: text/plain'); if (file_get_contents('php://input') === 'die') nowhere(); echo 'fine';`,
  )
  const gateway = await startGateway(t, {
    handler: false,
    locations: `
      location /ws/fatal/ { set $ws_handler "${php.url(script)}"; include socket.conf; }
      location /ws/none/ { set $ws_handler "${php.url(`${php.folder}/none.php`)}"; include socket.conf; }`,
  })
  const client = await open(`${gateway.ws}/ws/fatal/`)
  const { statusCode, message } = JSON.parse(String(await client.ask('die')))
  assert.deepEqual([statusCode, message], [500, 'the handler answered 500 without a body'])
  assert.equal(await client.ask('x'), 'fine')
  await until('the reason is in the log', () =>
    /fatal\.php reports: PHP message: PHP Fatal error: .*nowhere/.test(gateway.log()),
  )
  await client.close()

  const refused = new Client(`${gateway.ws}/ws/none/`)
  const response = await new Promise<any>((resolve) => refused.socket.once('unexpected-response', (_, r) => resolve(r)))
  assert.equal(response.statusCode, 404)
  await until('the script is named', () => /none\.php reports: Primary script unknown/.test(gateway.log()))
})

test('events wait for a pool that is down, and for a child of one that is full', async (t) => {
  const php = await startPhp(t, { children: 2 })
  const script = php.script(
    'slow.php',
    `${MESSAGE} usleep(20000); header('content-type: text/plain'); echo file_get_contents('php://input');`,
  )
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: php.url(script) } })
  const clients = await Promise.all(Array.from({ length: 40 }, () => open(`${gateway.ws}/ws/a`)))
  for (let round = 0; round < 2; round++) {
    await areEchoed(clients, `round ${round}`)
  }
  await php.stop()
  const waiting = clients.map((client, i) => client.ask(`late ${i}`))
  await until('it is known to be away', () => /no handler can be reached at fastcgi:/.test(gateway.log()))
  await php.start()
  assert.deepEqual(
    await Promise.all(waiting),
    clients.map((_, i) => `late ${i}`),
  )
  await Promise.all(clients.map((client) => client.close()))
})

test('a pool is reloaded under load: no event runs twice, and none is lost silently', async (t) => {
  const php = await startPhp(t)
  const ran = `${php.folder}/ran`
  const script = php.script(
    'count.php',
    `${MESSAGE} $is_written = file_put_contents('${ran}', file_get_contents('php://input') . "\\n", FILE_APPEND); // in one piece
    if ($is_written === false) { http_response_code(500); exit; }
    header('content-type: text/plain'); echo file_get_contents('php://input');`,
  )
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: php.url(script) } })
  const clients = await Promise.all(Array.from({ length: 10 }, () => open(`${gateway.ws}/ws/a`)))
  let isOver = false
  let errors = 0
  const sent: string[] = []
  const load = clients.map(async (client, i) => {
    for (let n = 0; !isOver; n++) {
      const text = `${i}:${n}`
      sent.push(text)
      const answer = String(await client.ask(text))
      if (answer === text) continue
      assert.match(answer, /"statusCode":50[24]/)
      errors++
    }
  })
  for (let i = 0; i < 3; i++) await php.reload()
  isOver = true
  await Promise.all(load)
  const lines = readFileSync(ran, 'utf8').trim().split('\n')
  assert.equal(new Set(lines).size, lines.length, 'none ran twice')
  assert.ok(sent.length - new Set(lines).size <= errors, `${sent.length} sent, ${lines.length} ran, ${errors} errors`)
  await Promise.all(clients.map((client) => client.close()))
})

/** How many connections the pool holds: /proc/net/unix has a line with state 03 for each that it accepted. */
function held(folder: string): number {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(`${folder}/php.sock`) && line.split(/\s+/)[5] === '03').length
}

test('keep=N keeps at most N connections over all workers, and none by default', async (t) => {
  const php = await startPhp(t, { children: 8 })
  const script = php.script('echo.php', ECHO)
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '2' },
    locations: `
      location /ws/three/ { set $ws_handler "${php.url(script, '&keep=3')}"; include socket.conf; }
      location /ws/none/ { set $ws_handler "${php.url(script)}"; include socket.conf; }`,
  })
  for (const [path, most] of [
    ['three', 3],
    ['none', 0],
  ] as const) {
    const clients = await Promise.all(Array.from({ length: 40 }, () => open(`${gateway.ws}/ws/${path}/`)))
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(clients.map((client, i) => client.ask(`${i}`)))
      assert.deepEqual(
        answers,
        clients.map((_, i) => `${i}`),
      )
    }
    // A connection is kept for 4 s, so each look follows a message.
    await until(`${most} are kept`, async () => {
      await clients[0]!.ask('x')
      const kept = held(php.folder)
      return kept <= most && kept >= Math.min(most, 1)
    })
    await Promise.all(clients.map((client) => client.close()))
    await until('nothing is kept', () => held(php.folder) === 0)
  }
})

test('a plain request of a page reaches the same script, beside the site', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'page.php',
    `<?php echo json_encode([$_SERVER['REQUEST_METHOD'], $_SERVER['HTTP_CE_TYPE'] ?? null, $_GET, $_POST]);`,
  )
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_URL: php.url(script) },
    locations: 'location = /page { include handler.conf; }',
  })
  const response = await fetch(`${gateway.url}/page?a=b`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'ce-type': 'framegate.open' },
    body: 'c=d',
  })
  assert.deepEqual(await response.json(), ['POST', null, { a: 'b' }, { c: 'd' }])
  assert.equal((await fetch(`${gateway.url}/`)).status, 200)
})

test('a script streams: each line is a frame when it is flushed', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'stream.php',
    `${MESSAGE}
    header('content-type: application/x-ndjson');
    foreach ([1, 2] as $i) {
        echo "{\\"n\\":$i}\\n";
        while (ob_get_level() > 0) ob_end_flush();
        flush();
        while ($i == 1 && !file_exists('${php.folder}/go')) { usleep(10000); clearstatcache(); }
    }`,
  )
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: php.url(script) } })
  const client = await open(`${gateway.ws}/ws/a`)
  assert.equal(await client.ask('x'), '{"n":1}')
  writeFileSync(`${php.folder}/go`, '')
  assert.equal(await client.next(), '{"n":2}')
  assert.equal(await client.ask('x'), '{"n":1}')
  assert.equal(await client.next(), '{"n":2}')
  await client.close()
})
