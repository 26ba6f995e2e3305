/** Handlers over FastCGI: a php-fpm of the test's own, and scripts that know nothing of FastCGI. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { startPhp } from '../support/php.ts'
import { until } from '../support/wait.ts'

const ECHO = `<?php
if ($_SERVER['HTTP_CE_TYPE'] !== 'framegate.message') {
    http_response_code(204);
    exit;
}
header('content-type: ' . ($_SERVER['CONTENT_TYPE'] === 'application/octet-stream' ? 'application/octet-stream' : 'text/plain; charset=utf-8'));
echo file_get_contents('php://input');
`

test('a script gets frames and answers frames: text, binary, large, many', async (t) => {
  const php = await startPhp(t)
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: php.url(php.script('echo.php', ECHO)) } })
  const client = await open(`${gateway.ws}/ws/a`)
  assert.equal(await client.ask('hello'), 'hello')
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  client.socket.send(bytes)
  assert.deepEqual(await client.next(), bytes)
  for (const length of [0, 65_527, 65_528, 65_529, 131_056, 1024 * 1024]) {
    const text = 'x'.repeat(length)
    if (length > 0) assert.equal(await client.ask(text), text, `${length} bytes`)
  }
  for (let i = 0; i < 200; i++) assert.equal(await client.ask(`${i}`), `${i}`)
  await client.close()
  assert.equal(gateway.log(), '')
})
