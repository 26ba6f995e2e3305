// A batch is answered in lengths and bytes when the gateway asks for that.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import test from 'node:test'
import { MediaType } from '../../plugin/index.ts'
import { batchRequest, buildApp, event, listen, request } from './support.ts'

const asking = {
  ...batchRequest,
  headers: { ...batchRequest.headers, accept: `${MediaType.answers}, ${MediaType.lines};q=0.5` },
}

type Answer = { place: number; status: number; head: string; body: Buffer }

function parse(bytes: Buffer): Answer[] {
  const answers: Answer[] = []
  for (let at = 0; at < bytes.length; ) {
    const [place, status, headBytes, bodyBytes] = [0, 4, 8, 12].map((i) => bytes.readUInt32BE(at + i))
    const head = bytes.toString('latin1', at + 16, at + 16 + headBytes!)
    const end = at + 16 + headBytes! + bodyBytes!
    answers.push({ place: place!, status: status!, head, body: bytes.subarray(end - bodyBytes!, end) })
    at = end
  }
  return answers
}

function at(path: string, body = 'x'): object {
  return { path, headers: event('message', path, 'x').headers, body }
}

test('each answer is its place, its status, header lines and the bytes of its body', async (t) => {
  const app = await buildApp(t)
  const large = 'é'.repeat(30_000)
  const text = 'content-type: text/plain; charset=utf-8\r\n'
  const kinds: [unknown, string, Buffer | string][] = [
    ['héllo 😀', text, 'héllo 😀'],
    ['a\ud800b', text, 'a\ufffdb'],
    [large, text, large],
    [Buffer.from([0, 255]), 'content-type: application/octet-stream\r\n', Buffer.from([0, 255])],
    [undefined, '', ''],
    [{ a: 1 }, 'content-type: application/json; charset=utf-8\r\n', '{"a":1}'],
  ]
  for (const [i, [value]] of kinds.entries()) app.ws(`/ws/${i}`, { message: () => value as never })
  app.ws('/ws/headers', {
    message: (_request, reply) => {
      reply.header('set-cookie', ['a=1', 'b=2']).header('x-list', ['1', '2']).code(404)
      return 'none'
    },
  })
  app.ws('/ws/empty', { message: (_request, reply) => void reply.code(204).send() })
  const port = await listen(app)
  const paths = [...kinds.keys(), 'headers', 'empty'].map((name) => `/ws/${name}`)
  const response = await request(port, asking, JSON.stringify(paths.map((path) => at(path))))
  assert.equal(response.headers['content-type'], MediaType.answers)
  assert.equal(Number(response.headers['content-length']), response.body.length)
  const answers = parse(response.body).sort((a, b) => a.place - b.place)
  assert.deepEqual(
    answers.slice(0, kinds.length),
    kinds.map(([, head, body], place) => ({ place, status: 200, head, body: Buffer.from(body as string) })),
  )
  const [headers, empty] = answers.slice(kinds.length)
  assert.equal(headers!.status, 404)
  assert.match(headers!.head, /^set-cookie: a=1\r\nset-cookie: b=2\r\nx-list: 1, 2\r\n/m)
  assert.deepEqual([empty!.status, empty!.body.length], [204, 0])
})

test('an answer comes when its event finishes, and those that were written stay as they were', async (t) => {
  const app = await buildApp(t)
  const { promise, resolve: release } = Promise.withResolvers<string>()
  app.ws('/ws/fast', { message: async (request) => request.body })
  app.ws('/ws/slow', { message: () => promise })
  app.ws('/ws/stream', {
    async *message() {
      yield 'piece'
    },
  })
  const port = await listen(app)
  const outgoing = http.request({ host: '127.0.0.1', port, method: 'POST', ...asking })
  outgoing.end(JSON.stringify([at('/ws/slow'), at('/ws/fast', 'one'), at('/ws/stream')]))
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
  const parts = response[Symbol.asyncIterator]()
  const first = parse((await parts.next()).value as Buffer)
  const shown = (answers: Answer[]) => answers.map(({ place, status, body }) => [place, status, body.toString()])
  assert.deepEqual(shown(first).sort(), [
    [1, 200, 'one'],
    [2, 0, ''],
  ])
  release('at last')
  assert.deepEqual(shown(parse((await parts.next()).value as Buffer)), [[0, 200, 'at last']])
  assert.equal((await parts.next()).done, true)
})

test('a status that is none is 500, and the other events have their answers', async (t) => {
  const app = await buildApp(t)
  app.ws('/ws/fast', { message: async (request) => request.body })
  for (const [i, status] of [0, -1, 2 ** 40, 'x'].entries()) {
    app.ws(`/ws/odd${i}`, {
      message: (_request, reply) => {
        reply.hijack()
        reply.raw.statusCode = status as number
        reply.raw.end('odd')
      },
    })
  }
  const port = await listen(app)
  const paths = ['/ws/odd0', '/ws/odd1', '/ws/odd2', '/ws/odd3', '/ws/fast']
  const response = await request(port, asking, JSON.stringify(paths.map((path) => at(path))))
  const answers = parse(response.body).sort((a, b) => a.place - b.place)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [500, 500, 500, 500, 200],
  )
})
