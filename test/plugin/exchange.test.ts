// The one HTTP client of plugin and command line, against servers of every kind.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Agent, createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { exchange, TimeoutError } from '../../plugin/gateway/exchange.ts'
import { folder } from '../cli/framegate.ts'
import { certificates } from '../support/certificates.ts'
import { until } from '../support/wait.ts'

/** No test waits for it. */
const QUICK = { timeoutMs: 60_000 }

async function listen(t: TestContext, server: Server, at: { path: string } | { port: 0; host: string }): Promise<void> {
  await new Promise<void>((resolve) => server.listen(at, resolve))
  t.after(() => server.close())
}

async function onSocket(t: TestContext, listener: RequestListener): Promise<string> {
  const path = join(folder(t), 'a.sock')
  await listen(t, createServer(listener), { path })
  return `unix:${path}`
}

const show: RequestListener = (request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (part) => {
    body += part
  })
  request.on('end', () => {
    const { method, url, headers } = request
    response.writeHead(201, { 'x-answer': 'yes' }).end(JSON.stringify({ method, url, headers, body }))
  })
}

test('a request arrives as it was given, and the answer whole', async (t) => {
  const target = await onSocket(t, show)
  const options = { method: 'POST', path: '/topics/..?a=%20', headers: { 'x-mine': '1' }, body: 'grüße', ...QUICK }
  for (const to of [target, `http://${target}`]) {
    const { status, headers, body } = await exchange(to, options)
    assert.deepEqual([status, headers['x-answer']], [201, 'yes'])
    const seen = JSON.parse(body)
    assert.deepEqual([seen.method, seen.url, seen.body], ['POST', '/topics/..?a=%20', 'grüße'])
    assert.equal(seen.headers['x-mine'], '1')
    assert.equal(seen.headers['content-length'], '7')
    assert.equal(seen.headers.connection, 'close')
  }
  const plain = JSON.parse((await exchange(target, QUICK)).body)
  assert.deepEqual([plain.method, plain.url, plain.body], ['GET', '/', ''])
})

test('over TCP, and over TLS with any certificate when it is asked for', async (t) => {
  const plain = createServer(show)
  await listen(t, plain, { host: '127.0.0.1', port: 0 })
  const { port } = plain.address() as AddressInfo
  const seen = JSON.parse((await exchange(`http://127.0.0.1:${port}`, { path: '/x', ...QUICK })).body)
  assert.deepEqual([seen.url, seen.headers.host], ['/x', `127.0.0.1:${port}`])

  const { certificate, key } = certificates(t).make('site')
  const secure = createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, show)
  await listen(t, secure, { host: '127.0.0.1', port: 0 })
  const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`
  assert.equal((await exchange(url, { anyCertificate: true, ...QUICK })).status, 201)
  await assert.rejects(exchange(url, QUICK), /certificate/)
})

test('an agent keeps the connection', async (t) => {
  const ports = new Set<unknown>()
  const target = await onSocket(t, (request, response) => {
    ports.add(request.socket)
    response.end()
  })
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  for (let i = 0; i < 3; i++) await exchange(target, { agent, ...QUICK })
  assert.equal(ports.size, 1)
})

test('statusOnly does not wait for a body that has no end, and hangs up', async (t) => {
  let left = false
  const target = await onSocket(t, (_request, response) => {
    response.on('close', () => {
      left = true
    })
    response.writeHead(299).write('the first of many')
  })
  assert.deepEqual((await exchange(target, { statusOnly: true, ...QUICK })).status, 299)
  await until('the server sees it', () => left)
})

test('what goes wrong is an error with its code', async (t) => {
  const here = folder(t)
  await assert.rejects(exchange(`unix:${here}/none.sock`, QUICK), { code: 'ENOENT', syscall: 'connect' })

  const silent = join(here, 'silent.sock')
  await listen(
    t,
    createTcpServer(() => {}),
    { path: silent },
  )
  await assert.rejects(exchange(`unix:${silent}`, { timeoutMs: 50 }), (error) => {
    assert.ok(error instanceof TimeoutError)
    assert.deepEqual([error.code, error.message], ['ETIMEDOUT', 'nothing came within 50 ms'])
    return true
  })

  const broken = join(here, 'broken.sock')
  const half = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'
  await listen(
    t,
    createTcpServer((connection) => connection.once('data', () => connection.end(half))),
    { path: broken },
  )
  await assert.rejects(exchange(`unix:${broken}`, QUICK), { code: 'ECONNRESET' })
})
