/** Answers whose framing or whose effects contradict themselves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { messages, NO_CONTENT, response, startBareHandler } from '../support/bare-handler.ts'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'

const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'

test('a body whose framing is wrong is not understood, also to a close event, which is not sent again', async (t) => {
  let answer = ''
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' } })
  const handler = await startBareHandler(t, gateway.handlerSocket, (_, socket) => socket.write(answer || NO_CONTENT))
  for (const [chunks, words] of [
    ['+2\r\nhi\r\n0\r\n\r\n', /a chunk's size is missing/],
    ['2\r\nhi!\r\n0\r\n\r\n', /a chunk is longer than its size/],
    [`2;${'x'.repeat(20_000)}`, /a line of the body's framing is too long/],
    ['ffffffffff\r\nhi', /larger than \d+ bytes \(MAX_ANSWER_BYTES\)/],
  ] as const) {
    answer = ''
    const client = await open(`${gateway.ws}/ws/any`)
    answer = CHUNKED + chunks
    client.socket.send('x')
    const error = await client.json()
    assert.equal(error.statusCode, 502)
    assert.match(error.message, words)
    const before = handler.events.length
    await client.close()
    await until('the close event', () => handler.events.length > before)
  }
  answer = ''
  assert.equal((await open(`${gateway.ws}/ws/any`)).socket.readyState, 1)
  assert.equal(
    handler.events.filter((event) => event.kind === 'close').length,
    4,
    'a close event was answered, if badly',
  )
})

const EFFECTS = 'content-type: application/vnd.framegate.effects+json\r\n'

const NOT_EFFECTS: Record<string, RegExp> = {
  'ws-close: 4000\r\nws-close: 4001\r\n': /ws-close may be given once/,
  'ws-close: 4000x\r\n': /ws-close takes the code/,
  'ws-close: 4000, gone\r\n': /ws-close takes the code/,
  'ws-close: 4000.5\r\n': /ws-close takes the code/,
  'ws-user: Ada\r\nws-user: Bob\r\n': /ws-user may be given once/,
  'ws-state: a\r\nws-state: b\r\n': /ws-state may be given once/,
}

test('effects that contradict themselves are not applied, and an unknown one does not break the frame that names it', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1' }, expect: [/cannot be applied/] })
  await startBareHandler(
    t,
    gateway.handlerSocket,
    messages((event, socket) => {
      if (event.body in NOT_EFFECTS) return void socket.write(response('hi', event.body))
      const kind = event.body === 'bytes' ? '\xff\xfe' : 'k'.repeat(100_000)
      const body = `{"effects":[{"${kind}":1}]}`
      socket.write(`HTTP/1.1 200 OK\r\n${EFFECTS}content-length: ${body.length}\r\n\r\n${body}`, 'latin1')
    }),
  )
  const client = await open(`${gateway.ws}/ws/any`)
  for (const [headers, words] of Object.entries(NOT_EFFECTS)) assert.match(String(await client.ask(headers)), words)
  assert.match(JSON.parse(String(await client.ask('bytes'))).message, /effect 1 is unknown: \\xFF\\xFE$/)
  assert.ok((await client.ask('long')).length < 400)
  await client.close()
})
