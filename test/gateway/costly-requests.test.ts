// No request keeps a worker busy for long, whatever its headers hold: all sockets of the worker would wait for it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { RawSocket } from '../support/raw-socket.ts'

const HANDSHAKE = [
  'Host: a',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]
const REPEATS = 5

/** The processor time that a process has used, in milliseconds (proc(5): ticks of 10 ms). */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function statusOf(gateway: Gateway, path: string, lines: string[]): Promise<number> {
  const raw = new RawSocket(connect(gateway.port, '127.0.0.1'))
  raw.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  const { status } = await raw.response()
  raw.socket.destroy()
  return status
}

const blanks = '\t'.repeat(8000)
const digits = '1'.repeat(8000)
const CASES: Array<[string, string[]]> = [
  ['blanks inside of values', Array.from({ length: 6 }, (_, i) => `x${i}: a${blanks}b`)],
  ['values of nothing but blanks', Array.from({ length: 6 }, (_, i) => `x${i}:${blanks}`)],
  ['an origin with a port of many digits', [`Origin: http://${digits}:x`]],
  ['an origin of many digits', [`Origin: http://${digits}~`]],
  ['an origin with an address of many digits', [`Origin: http://[${digits}]:x`]],
  ['a forwarded host of many digits', [`X-Forwarded-Host: ${digits}:x`, 'Origin: http://b']],
]

test('a request whose headers are large costs a worker milliseconds', async (t) => {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', TRUSTED_PROXIES: '127.0.0.1' } })
  await startProbeHandler(t, gateway.handlerSocket)
  const [pid] = gateway.workers()
  for (const [name, lines] of CASES) {
    for (const path of ['/ws/a', '/']) {
      const before = processorTime(pid!)
      for (let i = 0; i < REPEATS; i++) await statusOf(gateway, path, [...HANDSHAKE, ...lines])
      const each = (processorTime(pid!) - before) / REPEATS
      assert.ok(each < 40, `${path} with ${name}: ${each} ms`)
    }
  }
})

test('a request for the site with very many headers that must be removed is refused', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1' } })
  const forged = (count: number): string[] => Array.from({ length: count }, (_, i) => `ce-${i}: x`)
  assert.equal(await statusOf(gateway, '/', ['Host: a', ...forged(64)]), 200)
  assert.equal(await statusOf(gateway, '/', ['Host: a', ...forged(65)]), 400)
})
