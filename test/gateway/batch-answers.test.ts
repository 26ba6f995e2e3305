/** Lines of a batch, right and wrong, and what the client gets of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { messages, response, startBareHandler } from '../support/bare-handler.ts'
import { type Client, open } from '../support/client.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'

const LARGE = 'x'.repeat(5000)

/** What a message asks for: the line of its answer without the id, or what to do instead of one. */
const LINES: Record<string, string> = {
  fine: '"status":200,"headers":{"content-type":"text/plain"},"body":"fine"',
  upper: '"status":200,"headers":{"Content-Type":"text/plain"},"body":"upper"',
  nested: '"status":200,"headers":{"ws-state":[["a"]]},"body":"x"',
  object: '"status":200,"headers":{"ws-state":{"a":1}},"body":"x"',
  nothing: '"status":200,"headers":{"ws-state":null},"body":"x"',
  list: '"status":200,"headers":"none","body":"x"',
  split: '"status":200,"headers":{"set-cookie":"a\\r\\nb: c"},"body":"x"',
  infinite: '"status":1e400,"headers":{},"body":"x"',
  none: '"status":NaN,"headers":{},"body":"x"',
  broken: '"status":200.7,"headers":{},"body":"x"',
  negative: '"status":-1,"headers":{},"body":"x"',
  text: '"status":"200","headers":{},"body":"x"',
  missing: '"headers":{},"body":"x"',
  number: '"status":200,"headers":{},"body":1',
  base64: '"status":200,"headers":{},"body_base64":"*"',
  gzip: '"status":200,"headers":{"content-encoding":"gzip"},"body_base64":"AAAA"',
  large: `"status":200,"headers":{},"body":"${LARGE}"`,
  huge: `"status":200,"headers":{},"body":"${LARGE.repeat(40)}"`,
}

const RIGHT: Record<string, string> = { fine: 'fine', upper: 'upper' }

const WRONG: Record<string, RegExp> = {
  nested: /header ws-state is not a text/,
  object: /header ws-state is not a text/,
  nothing: /header ws-state is not a text/,
  list: /headers are not an object/,
  split: /header set-cookie is not a text/,
  infinite: /status is not a number from 200 to 599/,
  none: /status is not/,
  broken: /status is not/,
  negative: /status is not/,
  text: /status is not/,
  missing: /status is not/,
  number: /body is not a text/,
  base64: /body is not a text/,
  gzip: /content-encoding gzip/,
  large: /larger than 4096 bytes/,
  huge: /larger than 4096 bytes/,
}

type Element = { headers: Record<string, string>; body: string }

/** Close events have no body. */
function lines(body: string): string[] {
  return (JSON.parse(body) as Element[]).map(
    ({ headers, body: kind }) => `{"id":"${headers['ce-id']}",${LINES[kind] ?? LINES.fine}}`,
  )
}

async function openMany(gateway: Gateway, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => open(`${gateway.ws}/ws/any`)))
}

/** Sends all of these until each was answered in a batch; what came alone is answered `alone`. */
async function askInBatches(gateway: Gateway, kinds: string[]): Promise<Record<string, string>> {
  const answers: Record<string, string> = {}
  const clients = await openMany(gateway, kinds.length)
  // The first of a round goes alone, so each round has another first.
  for (let round = 0; Object.keys(answers).length < kinds.length; round++) {
    await Promise.all(
      clients.map(async (client, i) => {
        const kind = kinds[(i + round) % kinds.length]!
        const answer = String(await client.ask(kind))
        if (answer !== 'alone') answers[kind] = answer
      }),
    )
  }
  await Promise.all(clients.map((client) => client.close()))
  return answers
}

test('1.5, 3.7-3.9, 7.13: a wrong line is 502 for its own event, in so many words; the others are answered', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', MAX_ANSWER_BYTES: '4k' } })
  await startBareHandler(
    t,
    gateway.handlerSocket,
    messages((event, socket) => {
      if (event.kind === 'message') return void socket.write(response('alone'))
      socket.write(response(lines(event.body).join('\n'), 'content-type: application/x-ndjson\r\n')) // no newline at its end
    }, true),
  )
  const answers = await askInBatches(gateway, Object.keys(LINES))
  for (const [kind, text] of Object.entries(RIGHT)) assert.equal(answers[kind], text)
  for (const [kind, words] of Object.entries(WRONG)) {
    const error = JSON.parse(answers[kind]!)
    assert.equal(error.statusCode, 502, kind)
    assert.match(error.message, words, kind)
  }
})

test('a retry-after that is an empty list counts as one without a time: the event is sent again', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  let batches = 0
  await startBareHandler(
    t,
    gateway.handlerSocket,
    messages((event, socket) => {
      if (event.kind === 'message') return void socket.write(response('again'))
      const later = `"status":503,"headers":{"retry-after":${batches === 0 ? '[]' : '["0"]'}}`
      batches += 1
      const answers = (JSON.parse(event.body) as Element[]).map(
        ({ headers }) => `{"id":"${headers['ce-id']}",${later}}`,
      )
      socket.write(response(batches > 2 ? lines(event.body).join('\n') : answers.join('\n'), ''))
    }, true),
  )
  const clients = await openMany(gateway, 20)
  while (batches === 0) {
    const answers = await Promise.all(clients.map((client) => client.ask('fine')))
    for (const answer of answers) assert.match(String(answer), /^(again|fine)$/)
  }
  await Promise.all(clients.map((client) => client.close()))
})

test('1.6: HANDLER_TIMEOUT bounds a batch, however its answer drips', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', HANDLER_TIMEOUT: '1s' } })
  let began = 0
  await startBareHandler(
    t,
    gateway.handlerSocket,
    messages((event, socket) => {
      if (event.kind === 'message') return void socket.write(response('alone'))
      began = performance.now()
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const timer = setInterval(() => socket.write(' '), 200)
      socket.on('close', () => clearInterval(timer))
    }, true),
  )
  const answers = await askInBatches(gateway, ['fine', 'upper', 'list'])
  assert.ok(performance.now() - began < 10_000) // unbounded, it would never end
  for (const answer of Object.values(answers)) assert.equal(JSON.parse(answer).statusCode, 504)
})

test('7.13: a compressed answer to a batch is 502 for all of it', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  await startBareHandler(
    t,
    gateway.handlerSocket,
    messages((event, socket) => {
      if (event.kind === 'message') return void socket.write(response('alone'))
      socket.write(response('\x1f\x8b', 'content-encoding: gzip\r\n'))
    }, true),
  )
  for (const answer of Object.values(await askInBatches(gateway, ['fine', 'upper', 'list']))) {
    assert.match(JSON.parse(answer).message, /content-encoding gzip/)
  }
})
