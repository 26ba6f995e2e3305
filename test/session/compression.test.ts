// Sessions whose clients come back with compression, without it, or with another window: what is sent again fits each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflated, deflatedFrame, isCompressed, json, messageOf, OFFER } from '../support/deflate.ts'
import { openStream } from '../support/event-stream.ts'
import type { Gateway } from '../support/gateway.ts'
import type { SessionClient } from '../support/session-client.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { startStage } from './support.ts'

const offers = (text: string) => ({ headers: { 'Sec-WebSocket-Extensions': text } })

/** How a client comes back, and whether it then gets compressed messages. */
const RETURNS: Array<[string, boolean]> = [
  ['', false],
  [OFFER['Sec-WebSocket-Extensions'], true],
  ['permessage-deflate; server_max_window_bits=9', true],
  ['permessage-deflate; server_max_window_bits=8', false],
  ['permessage-deflate', true],
]

async function push(gateway: Gateway, id: string, text: string): Promise<void> {
  assert.equal((await control(gateway, 'POST', `/connections/${id}`, text)).status, 200)
}

/** The next message, and whether it came compressed. */
async function next(client: SessionClient): Promise<{ text: string; compressed: boolean }> {
  while (true) {
    const received = await client.raw.frame()
    const text = messageOf(received).toString()
    if (received.opcode !== 1 || text.startsWith('\0')) continue
    client.received += 1
    return { text, compressed: isCompressed(received) }
  }
}

async function away(gateway: Gateway, id: string): Promise<void> {
  await until('it is away', async () => (await control(gateway, 'GET', `/connections/${id}`)).json.session?.away >= 0)
}

for (const workers of ['1', '3']) {
  test(`with ${workers} workers, each connection of a session has what it has agreed on itself`, async (t) => {
    const { gateway, enter, idOf, events } = await startStage(t, {
      env: { WORKERS: workers, SOCKET_LOG: 'stdout', MAX_MESSAGE_BYTES: '2m' },
    })
    const client = await enter('/ws/a', offers('permessage-deflate'))
    const id = idOf('/ws/a')
    const messages = [json(3000), 'short', json(9000)]
    for (const text of messages) await push(gateway, id, text)
    const all: string[] = [...messages]
    let seen = 0
    for (const [how, isAgreed] of RETURNS) {
      client.cut()
      await away(gateway, id)
      const waiting = `${all.length} ${json(4000)}`
      await push(gateway, id, waiting)
      all.push(waiting)
      client.received = Math.max(0, seen - 1) // the last one comes again
      await client.dial(offers(how))
      assert.equal(client.first.resumed, true)
      const { compression } = (await control(gateway, 'GET', `/connections/${id}`)).json
      assert.equal(compression, isAgreed ? 'permessage-deflate' : undefined)
      for (const text of all.slice(client.received))
        assert.deepEqual(await next(client), { text, compressed: isAgreed && text.length > 1024 })
      client.raw.write(isAgreed ? deflatedFrame(1, deflated(json(2000))) : Buffer.alloc(0))
      if (isAgreed) {
        all.push(`re ${json(2000)}`)
        assert.deepEqual(await next(client), { text: all.at(-1)!, compressed: true })
      }
      seen = all.length
    }
    assert.equal(events('open').length, 1)
    const resumed = /"event":"resume".*"compression":"permessage-deflate"/g
    await until('the log shows it', () => gateway.output().match(resumed)?.length === 3)
  })
}

test('a session goes on as an event stream, and comes back compressed', async (t) => {
  const { gateway, enter, idOf } = await startStage(t, { env: { WORKERS: '1' } })
  const client = await enter('/ws/a', offers('permessage-deflate'))
  const id = idOf('/ws/a')
  const texts = [json(3000), json(5000), json(7000)]
  await push(gateway, id, texts[0]!)
  assert.deepEqual(await next(client), { text: texts[0], compressed: true })
  client.cut()
  await away(gateway, id)
  await push(gateway, id, texts[1]!)
  const stream = await openStream(t, gateway.port, '/ws/a', { headers: { 'last-event-id': `${client.token}.0` } })
  assert.equal((await stream.next()).data, texts[0])
  assert.equal((await stream.next()).data, texts[1])
  await push(gateway, id, texts[2]!)
  assert.equal((await stream.next()).data, texts[2])
  assert.equal((await control(gateway, 'GET', `/connections/${id}`)).json.compression, undefined)
  const [token, received] = stream.lastId.split('.')
  assert.equal(received, '3')
  stream.cut()
  await away(gateway, id)
  client.token = token!
  client.received = 1
  await client.dial(offers('permessage-deflate'))
  for (const text of texts.slice(1)) assert.deepEqual(await next(client), { text, compressed: true })
})

test('a session that is stopped and started has its messages for a client without compression', async (t) => {
  const { gateway, enter, idOf } = await startStage(t, { env: { WORKERS: '1' } })
  const client = await enter('/ws/a', offers('permessage-deflate'))
  const texts = [json(3000), json(5000)]
  for (const text of texts) await push(gateway, idOf('/ws/a'), text)
  for (const text of texts) assert.deepEqual(await next(client), { text, compressed: true })
  client.cut()
  await gateway.quit()
  await gateway.startAgain()
  client.received = 0
  await client.dial(offers(''))
  assert.equal(client.first.resumed, true)
  for (const text of texts) assert.deepEqual(await next(client), { text, compressed: false })
})
