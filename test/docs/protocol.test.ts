// What docs/protocol.md says is what gateway and handler do.
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { request } from 'node:http'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { type Gateway, project, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { printed, runsOf, shell } from './console.ts'
import { blocks, page, rows, section } from './markdown.ts'

const PROTOCOL = page('docs/protocol.md')
const LUA = globSync('lua/framegate/**/*.lua', { cwd: project })

test('the commands print what the page says', async (t) => {
  const gateway = await startGateway(t)
  const runs = blocks(section(PROTOCOL, '## Play the gateway'), 'console').flatMap(({ text }) => runsOf(text))
  assert.ok(runs.length >= 12, `${runs.length} commands`)
  for (const { command, output } of runs) {
    assert.ok(output.trim() !== '', command)
    const here = command
      .replaceAll('run/handler/handler.sock', gateway.handlerSocket)
      .replaceAll('http://localhost:8080', gateway.url)
    assert.notEqual(here, command, `it asks handler or gateway: ${command}`)
    assert.deepEqual(printed(await shell(here)), printed(output), command)
  }
})

test('what is printed is compared as it is meant', () => {
  const text = 'HTTP/1.1 200 OK\nA: 1\nDate: now\n\n{"a":1,"b":2}\n'
  assert.deepEqual(printed(text), { status: 'HTTP/1.1 200 OK', headers: ['A: 1'], body: [{ a: 1, b: 2 }] })
  assert.deepEqual(printed(text), printed('HTTP/1.1 200 OK\nDate: then\nA: 1\n\n{"b":2,"a":1}'))
  for (const other of [
    'HTTP/1.1 201 OK\nA: 1\n\n{"a":1,"b":2}',
    'HTTP/1.1 200 OK\nA: 2\n\n{"a":1,"b":2}',
    'HTTP/1.1 200 OK\nA: 1\n\n{"a":1}',
    '{"a":1,"b":2}',
  ]) {
    assert.notDeepEqual(printed(text), printed(other))
  }
  assert.deepEqual(runsOf('$ a \\\n    b\nout\n\nput\n$ c\n d\n'), [
    { command: 'a \\\n    b', output: 'out\n\nput\n' },
    { command: 'c', output: ' d\n' },
  ])
})

test('a message has the headers of the example', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const handler = await startProbeHandler(
    t,
    gateway.handlerSocket,
    (_event, response) => void response.writeHead(204, { 'ws-state': 'guest' }).end(),
  )
  const headers = {
    cookie: 'session=8d1f',
    origin: `http://127.0.0.1:${gateway.port}`,
    'user-agent': 'Mozilla/5.0',
    'x-other': 'no',
    'ce-id': 'no',
  }
  const client = await open(`${gateway.ws}/ws/chat/lobby?lang=en`, { headers })
  client.socket.send('{"text":"hi"}')
  const event = await handler.seen('message')
  const example = blocks(section(PROTOCOL, '## Events'))
    .map(({ text }) => text)
    .find((text) => text.startsWith('POST /ws'))!
  const [head, body] = example.split('\n\n') as [string, string]
  const lines = head
    .split('\n')
    .slice(1)
    .map((line) => line.split(': '))
  assert.deepEqual(Object.keys(event.headers).sort(), lines.map(([name]) => name).sort())
  const shape = (value: unknown): string =>
    String(value)
      .replace(/[\w-]{32}/, 'ID')
      .replace(/\d/g, '0')
  for (const name of [
    'ce-specversion',
    'ce-type',
    'ce-id',
    'ce-connectionid',
    'ce-eventnumber',
    'ce-time',
    'ce-state',
    'content-type',
    'content-length',
  ]) {
    assert.equal(shape(event.headers[name]), shape(lines.find(([other]) => other === name)![1]), name)
  }
  assert.equal(event.url, head.split(' ')[1])
  assert.equal(event.body.toString(), body.trimEnd())
  await client.close()
})

test('a timer has the request of the example', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { TIMERS: '1s /ws/timers/tick' } })
  const handler = await startProbeHandler(t, gateway.handlerSocket)
  const { headers, url } = await handler.seen('timer')
  const [example] = blocks(section(PROTOCOL, '### Timers'), '').map(({ text }) => text)
  const [first, ...lines] = example!.trim().split('\n')
  assert.equal(first, `POST ${url} HTTP/1.1`)
  const shape = (value: string): string => value.replace(/\d(?=.*Z$)/g, '0')
  assert.deepEqual(
    Object.entries(headers).map(([name, value]) => shape(`${name}: ${value}`)),
    lines.map(shape),
  )
})

test('the effects document of the page is applied', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  const [document] = blocks(section(PROTOCOL, '### The effects document'), 'json')
  await startProbeHandler(t, gateway.handlerSocket, (event, response) => {
    if (event.type !== 'framegate.message')
      return void response.writeHead(204, event.url === '/ws/other' ? { 'ws-subscribe': 'lobby' } : {}).end()
    response.writeHead(200, { 'content-type': 'application/vnd.framegate.effects+json' }).end(document!.text)
  })
  const [other, client] = [await open(`${gateway.ws}/ws/other`), await open(`${gateway.ws}/ws/any`)]
  assert.equal(await client.ask('go'), 'one')
  assert.deepEqual(await client.next(), Buffer.from([1, 2]))
  assert.deepEqual(await client.closed, { code: 4001, reason: 'signed out' })
  assert.equal(await other.next(), 'guest is here')
})

function post(gateway: Gateway, type: string, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath: gateway.handlerSocket, method: 'POST', path: '/', headers: { 'content-type': type } },
      (response) => {
        let text = ''
        response
          .on('data', (chunk) => {
            text += chunk
          })
          .on('end', () => resolve({ status: response.statusCode!, body: text }))
      },
    )
    asked.on('error', reject).end(body)
  })
}

test('the batch of the page is a batch', async (t) => {
  const gateway = await startGateway(t)
  const [batch] = blocks(section(PROTOCOL, '## Batches'), 'json')
  const answer = await post(gateway, 'application/vnd.framegate.batch+json', batch!.text)
  assert.equal(answer.status, 200)
  assert.deepEqual(JSON.parse(answer.body).id, JSON.parse(batch!.text)[0].headers['ce-id'])
})

test('the page has the words of every error that the gateway makes, and no others', () => {
  const code = (name: string): string => page(`lua/framegate/${name}.lua`)
  const everything = LUA.map(page).join('\n').replaceAll('\\"', '"')
  const failures = [...code('dispatch/answer').matchAll(/^ {2}(\w+) = \{ \d+, "([^"]*)" \},$/gm)]
    .filter(([, name]) => everything.includes(`"${name}"`))
    .map((match) => match[2]!)
  const handshake = [...code('protocol/handshake').matchAll(/refusal\(\d+, "([^"]+)"/g)].map((match) => match[1]!)
  assert.ok(failures.length >= 5 && handshake.length >= 8)
  const told = rows(section(PROTOCOL, '## When there is no answer')).map(([, message]) => message!.replaceAll('`', ''))
  for (const message of [...failures, ...handshake])
    assert.ok(told.includes(message) || told.includes(`${message}: …`), message)
  const written = (message: string): boolean =>
    everything.includes(
      message
        .replace(/(?:: )?…$/, '')
        .replace(/ 5 sockets/, ' %d sockets')
        .replace(/ 2 messages/, ' %g messages')
        .replace('https://other.example is not allowed here: add it to ALLOWED_ORIGINS', '%s is not allowed here: %s')
        .replace(/^application\/vnd\.framegate\.batch\+json/, ''),
    )
  assert.deepEqual(
    told.filter((message) => !written(message) && !message.startsWith('those of')),
    [],
  )
})

test('the page has every status and close code that the gateway sends', () => {
  const codes = new Map(
    [...page('lua/framegate/protocol/close_code.lua').matchAll(/^CloseCode\.(\w+) = (\d{4})\b/gm)].map((match) => [
      match[1]!,
      match[2]!,
    ]),
  )
  const used = LUA.filter((file) => !file.endsWith('close_code.lua')).flatMap((file) =>
    [...page(file).matchAll(/CloseCode\.([A-Z_]+)/g)].map((match) => match[1]!),
  )
  const sent = [...new Set(used)]
    .filter((name) => codes.has(name) && !['NORMAL', 'NO_STATUS', 'ABNORMAL'].includes(name))
    .map((name) => codes.get(name))
  const told = [...new Set(rows(section(PROTOCOL, '## Close codes')).map(([code]) => code))]
  assert.deepEqual(sent.sort(), told.filter((code) => !code!.startsWith('1000')).sort())

  const statuses = LUA.filter((file) => !/\/(control|directory)/.test(file)).flatMap((file) =>
    [...page(file).matchAll(/(?:refusal\(|status = |^ {2}\w+ = \{ )(\d{3})\b/gm)].map((match) => match[1]!),
  )
  const tables = rows(section(PROTOCOL, '### HTTP answers of the gateway')).flatMap(([status]) => status!.split(', '))
  assert.deepEqual([...new Set(statuses)].sort(), [...new Set(tables)].sort())
})

test('docs/architecture.md names every room of the gateway', () => {
  const rooms = LUA.map((file) => file.split('/').slice(2, -1)[0]).filter((room) => room !== undefined)
  const named = rows(section(page('docs/architecture.md'), '## The rooms')).map(([room]) => room!.replaceAll('`', ''))
  assert.deepEqual(named.sort(), [...new Set(rooms)].sort())
})
