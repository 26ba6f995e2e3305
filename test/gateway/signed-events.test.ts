/** HANDLER_SECRET: what the gateway sends, verified by the unchanged library of Standard Webhooks, by the plugin and by PHP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MediaType } from '../../plugin/index.ts'
import { startApp } from '../support/app.ts'
import { type Client, open } from '../support/client.ts'
import { project, startGateway } from '../support/gateway.ts'
import { startPhp } from '../support/php.ts'
import { echo, type Reply, startProbeHandler } from '../support/probe-handler.ts'
import { OTHER_SECRET, SECRET, verify } from '../support/signatures.ts'

const NO_SECRETS = /QW5vdGhlc|whsec_|the secret of/

/** Verifies each request when it comes, and throws in its place; a batch is answered line by line. */
const verified = (secrets: string[], failures: unknown[]): Reply => {
  return (event, response, request) => {
    try {
      for (const secret of secrets)
        verify(secret, { method: request.method!, url: event.url, headers: event.headers, body: String(event.body) })
    } catch (error) {
      failures.push(event, error)
    }
    if (event.headers['content-type'] === MediaType.batch) {
      response.setHeader('content-type', MediaType.lines)
      const lines = JSON.parse(String(event.body)).map(({ headers, body }: Record<string, any>) =>
        JSON.stringify({ id: headers['ce-id'], status: 200, headers: { 'content-type': 'text/plain' }, body }),
      )
      return void response.end(`${lines.join('\n')}\n`)
    }
    if (event.type === 'framegate.open') {
      response.setHeader('ws-batch', '1')
      response.setHeader('ws-state', 'gr%C3%BC%C3%9Fe, "x"')
      response.setHeader('ws-user', 'zo%C3%AB')
      if (event.url.startsWith('/ws/chat')) response.setHeader('ws-alarm', '0.05')
    }
    return echo(event, response, request)
  }
}

test('every event and every batch is signed with both secrets', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: {
      WORKERS: '1',
      HANDLER_CONCURRENCY: '1',
      HANDLER_SECRET: `${SECRET},${OTHER_SECRET}`,
      TIMERS: '1s /ws/timers/v1.0',
    },
  })
  const failures: unknown[] = []
  const handler = await startProbeHandler(t, gateway.handlerSocket, verified([SECRET, OTHER_SECRET], failures))
  const client = await open(`${gateway.ws}/ws/chat/a%2Fb?x=1.5&y=%C3%A4`, { headers: { cookie: 'a=b', 'ce-x': 'y' } })
  for (const text of ['{"a":1}', 'Grüße', '', 'x'.repeat(100_000)]) assert.equal(await client.ask(text), text)
  await handler.seen('alarm')
  await handler.seen('timer')
  await client.close(4001, 'bye bye')
  const close = await handler.seen('close')
  assert.equal(close.headers['ce-closereason'], 'bye%20bye')

  const clients = await Promise.all(Array.from({ length: 40 }, () => open(`${gateway.ws}/ws/many`)))
  const isBatch = () => handler.events.some(({ headers }) => headers['content-type'] === MediaType.batch)
  while (!isBatch())
    for (const answer of await Promise.all(clients.map((client, i) => client.ask(`${i}`))))
      assert.match(`${answer}`, /^\d+$/)
  await Promise.all(clients.map((client) => client.close()))
  assert.deepEqual(failures, [])
  assert.deepEqual(
    ['open', 'message', 'alarm', 'timer', 'close'].filter(
      (kind) => !handler.events.some(({ type }) => type === `framegate.${kind}`),
    ),
    [],
  )
  const ids = handler.events.map(({ headers }) => headers['webhook-id'])
  assert.equal(new Set(ids).size, ids.length, 'each has an id of its own')
  assert.doesNotMatch(gateway.log() + gateway.output(), NO_SECRETS)
})

test('the plugin takes what the gateway has signed, alone and in batches, and refuses another secret', async (t) => {
  const env = { WORKERS: '1', HANDLER_SECRET: SECRET, MAX_CONNECTIONS_PER_IP: 'off' }
  const gateway = await startGateway(t, { handler: false, env })
  const app = { routes: addRoutes, secret: `${OTHER_SECRET} ${SECRET}` }
  const running = await startApp(t, gateway.handlerSocket, app)
  const clients: Client[] = await Promise.all(Array.from({ length: 100 }, (_, i) => open(`${gateway.ws}/ws/in/${i}?ä`)))
  for (const frame of ['text', '{"a":"ü"}', Buffer.from([0, 255, 128])]) {
    const answers = await Promise.all(clients.map((client) => client.ask(frame)))
    assert.deepEqual(
      answers,
      clients.map(() => frame),
    )
  }
  assert.deepEqual([await clients[0]!.ask('stream'), await clients[0]!.next()], ['one', 'two'])
  await Promise.all(clients.map((client) => client.close()))
  await running.close()

  await startApp(t, gateway.handlerSocket, { routes: addRoutes, secret: OTHER_SECRET })
  await assert.rejects(open(`${gateway.ws}/ws/in/1`), /401/)
})

function addRoutes(app: Awaited<ReturnType<typeof startApp>>): void {
  app.ws('/ws/in/:name', { message: ({ body }) => (body === 'stream' ? stream() : (body as string)) })
}

async function* stream(): AsyncGenerator<string, undefined> {
  yield 'one'
  yield 'two'
}

/** Changes what PHP has got; none of it may verify. */
const CHANGES = `
    $server = $_SERVER;
    $id = $_SERVER['HTTP_CE_CONNECTIONID'];
    $number = $_SERVER['HTTP_CE_EVENTNUMBER'];
    $line = "POST $_SERVER[REQUEST_URI]\\nce-connectionid: $id\\nce-eventnumber:";
    foreach ([
        ['HTTP_CE_STATE' => 'admin'],
        ['REQUEST_URI' => '/ws/b'],
        ['HTTP_WEBHOOK_TIMESTAMP' => (string) (time() - 301)],
        ['QUERY_STRING' => 'room=1.3'],
        ['QUERY_STRING' => null],
        // What follows has the signed text, with other borders between its parts.
        ['HTTP_CE_CONNECTIONID' => "$id\\nce-eventnumber: $number", 'HTTP_CE_EVENTNUMBER' => null],
        ['HTTP_CE_EVENTNUMBER' => null, "HTTP_CE_EVENTNUMBER: $number\\nCE_ID" => $_SERVER['HTTP_CE_ID'], 'HTTP_CE_ID' => null],
        ['REQUEST_URI' => "$_SERVER[REQUEST_URI]\\nce-connectionid: $id", 'QUERY_STRING' => "$_SERVER[QUERY_STRING]\\nce-connectionid: $id", 'HTTP_CE_CONNECTIONID' => null],
        ['REQUEST_METHOD' => $line, 'REQUEST_URI' => $number, 'QUERY_STRING' => '', 'HTTP_CE_CONNECTIONID' => null, 'HTTP_CE_EVENTNUMBER' => null],
        isset($_SERVER['CONTENT_TYPE'])
            ? ['HTTP_CE_TYPE' => "$_SERVER[HTTP_CE_TYPE]\\ncontent-type: $_SERVER[CONTENT_TYPE]", 'CONTENT_TYPE' => null]
            : ['HTTP_CE_TYPE' => null, 'CONTENT_TYPE' => 'text/plain'],
    ] as $i => $changes) {
        $_SERVER = array_filter([...$server, ...$changes], 'is_string');
        if (Framegate\\Event::isSigned('${SECRET}')) $answers[] = "change $i";
    }
    $_SERVER = $server;
    $answers[] = Framegate\\Event::isSigned('${SECRET}');`

test('a script of PHP verifies what comes over FastCGI', async (t) => {
  const php = await startPhp(t)
  const script = php.script(
    'signed.php',
    `<?php
    require '${project}/php/framegate.php';
    $answers = [Framegate\\Event::isSigned('${OTHER_SECRET}, ${SECRET}'), Framegate\\Event::isSigned('${OTHER_SECRET}')];
    ${CHANGES}
    $event = Framegate\\Event::read();
    (new Framegate\\Reply())->state('x y')->send($event->type . ' ' . json_encode($answers))->write();`,
  )
  const env = { HANDLER_SECRET: SECRET, HANDLER_URL: php.url(script) }
  const gateway = await startGateway(t, { handler: false, env })
  const client = await open(`${gateway.ws}/ws/a%2Fb?room=1.2`)
  assert.equal(await client.next(), 'open [true,false,true]')
  for (const frame of ['{"a":1}', 'Grüße', Buffer.from([0, 255])])
    assert.equal(await client.ask(frame), 'message [true,false,true]')
  await client.close()
})
