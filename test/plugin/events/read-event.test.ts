// `readEvent` of framegate/events: which requests are events, and what their frames are.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import express, { type RequestHandler } from 'express'
import {
  type GatewayEvent,
  HttpError,
  type NodeRequest,
  NotAnEventError,
  type ReadOptions,
  readEvent,
} from '../../../plugin/events/index.ts'
import { event, request } from '../support.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

async function portOf(t: TestContext, listener: Listener): Promise<number> {
  const server = http.createServer(listener).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** The frame that an Express app reads behind these body parsers; an error becomes its message. */
async function behind(t: TestContext, parsers: RequestHandler[], payload: string | Buffer, headers = {}) {
  const app = express()
  let outcome: unknown
  app.post('/ws/x', ...parsers, async (request, response) => {
    const read = await readEvent(request).catch((error: Error) => error)
    outcome = read instanceof Error ? read.message : (read as { frame?: unknown }).frame
    response.end()
  })
  const { url, ...options } = event('message', '/ws/x', payload, headers)
  await request(await portOf(t, app), { path: url, ...options }, payload)
  return outcome
}

const LARGE = 70_000
const FRAMES = ['Grüße', '', '{"a": 1}', '[]', 'x'.repeat(LARGE), Buffer.from([0xff, 0x00]), Buffer.alloc(0)]

test('a frame is read as it came from a request that nobody has read', async (t) => {
  for (const frame of FRAMES) assert.deepEqual(await behind(t, [], frame), frame)
})

test('a frame that express.raw has read is the same', async (t) => {
  const raw = express.raw({ type: () => true })
  for (const frame of FRAMES) assert.deepEqual(await behind(t, [raw], frame), frame)
})

test('a frame that express.json has parsed is the same JSON, and others are read as they came', async (t) => {
  for (const frame of FRAMES) {
    const same = frame === '{"a": 1}' ? '{"a":1}' : frame
    assert.deepEqual(await behind(t, [express.json()], frame), same)
  }
  const untouched = express.json({
    verify: (request, _response, buffer) => void Object.assign(request, { rawBody: buffer }),
  })
  assert.equal(await behind(t, [untouched], '{"a": 1}'), '{"a": 1}', 'rawBody, as Nest has it, is preferred')
})

test('a form that was parsed is written again, and refused where it was nested', async (t) => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const parser = express.urlencoded({ extended: true })
  assert.equal(await behind(t, [parser], 'a=1&b=x+y&a=%C3%BC', form), 'a=1&a=%C3%BC&b=x%20y')
  assert.match(String(await behind(t, [parser], 'a[b][c]=1', form)), /parsed into a object: read the event before/)
})

test('a body that was lost is an error that names the ways out', async (t) => {
  const lost: RequestHandler = (request, _response, next) => request.resume().on('end', () => next())
  const ways = /read the event before the body is parsed, parse it into a Buffer, or pass what was read as \{ body \}/
  assert.match(String(await behind(t, [lost], 'hi')), ways)
  assert.match(String(await behind(t, [express.text({ type: () => true })], Buffer.from([0xff]))), ways)
})

/** A request without a stream, as test tools make them. */
function plain(headers: Record<string, string>, body?: unknown): NodeRequest {
  return { headers, ...(body !== undefined && { body }) } as unknown as NodeRequest
}

function web(headers: Record<string, string>, body?: BodyInit): Request {
  return new Request('http://handler/ws/x', { method: 'POST', headers, ...(body !== undefined && { body }) })
}

test('a Web Request is read like a request of Node', async () => {
  const { headers } = event('message', '/ws/x', 'hi')
  for (const frame of FRAMES) {
    const type: Record<string, string> = Buffer.isBuffer(frame) ? { 'content-type': 'application/octet-stream' } : {}
    const read = await readEvent(web({ ...headers, ...type }, frame))
    assert.deepEqual((read as { frame?: unknown }).frame, frame)
  }
  const bare = await readEvent(web({ 'ce-type': 'framegate.message' }))
  assert.deepEqual((bare as { frame?: unknown }).frame, '')
  const used = web(headers, 'hi')
  await used.text()
  await assert.rejects(readEvent(used), /this Request was read before/)
  const passed = await readEvent(used, { body: 'hi' })
  assert.equal((passed as { frame?: unknown }).frame, 'hi')
})

test('what the gateway reports about an event is there, decoded', async () => {
  const headers = {
    'ce-type': 'framegate.close',
    'ce-id': 'c1/close',
    'ce-connectionid': 'c1',
    'ce-eventnumber': '3',
    'ce-time': '2026-11-20T10:00:00.123Z',
    'ce-state': 'caf%C3%A9',
    'ce-user': 'zo%C3%AB',
    'ce-closecode': '4001',
    'ce-closereason': 'so%20long',
    'ce-duration': '1500',
  }
  for (const request of [plain(headers), web(headers)]) {
    assert.deepEqual(await readEvent(request), {
      type: 'close',
      id: 'c1/close',
      connectionId: 'c1',
      number: 3,
      time: new Date('2026-11-20T10:00:00.123Z'),
      transport: 'websocket',
      state: 'café',
      user: 'zoë',
      closeCode: 4001,
      closeReason: 'so long',
      duration: 1500,
    })
  }
})

test('a request that is no event is refused with what was expected', async () => {
  const expected =
    'expected an event of framegate, which has the header ce-type: framegate.open, framegate.message, ' +
    'framegate.alarm, framegate.detach, framegate.resume, framegate.close, framegate.timer; got '
  for (const [headers, got] of [
    [{}, 'a request without it'],
    [{ 'ce-type': 'com.example.order' }, '"com.example.order"'],
    [{ 'content-type': 'application/vnd.framegate.batch+json' }, 'a request without it'],
  ] as const) {
    for (const request of [plain(headers), web(headers)]) {
      const error = await readEvent(request).then(
        () => undefined,
        (fault: unknown) => fault,
      )
      assert.ok(error instanceof NotAnEventError)
      assert.deepEqual([error.message, error.statusCode, error.code], [expected + got, 400, 'FRAMEGATE_NOT_AN_EVENT'])
    }
  }
})

test('a frame over the limit is refused with 413, and the connection stays usable', async (t) => {
  const options: ReadOptions = { limit: 10 }
  const port = await portOf(t, async (request, response) => {
    const read = await readEvent(request, options).catch((error: HttpError) => error)
    response.statusCode = read instanceof HttpError ? read.statusCode : 200
    response.end()
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const send = async (frame: string): Promise<number> => {
    const { url, ...rest } = event('message', '/ws/x', frame)
    return (await request(port, { path: url, agent, ...rest }, frame)).status
  }
  assert.deepEqual([await send('x'.repeat(LARGE)), await send('x'.repeat(10))], [413, 200])
  const { headers } = event('message', '/ws/x', 'x')
  await assert.rejects(readEvent(web(headers, 'x'.repeat(11)), options), { statusCode: 413 })
})

test('the type of an event decides what else it has', async () => {
  const read: GatewayEvent = await readEvent(plain({ 'ce-type': 'framegate.message' }, 'hi'))
  // @ts-expect-error other events have no frame
  read.frame
  if (read.type === 'message') assert.equal(read.frame.toString(), 'hi')
  if (read.type === 'timer') {
    // @ts-expect-error a timer belongs to no socket
    read.connectionId
  } else {
    assert.equal(read.state, null)
  }
  // @ts-expect-error only a close has a code
  if (read.type === 'open') read.closeCode
})
