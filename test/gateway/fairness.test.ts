// What is no message passes every limit of messages: sockets that send it as fast as they can hold nobody else up.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { fetchOnce } from '../support/fetch-once.ts'
import { project, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

/** A process with a hundred sockets that send one kind of frame, and nothing else. */
const FLOOD = `
  import { frame, rawSocket } from './test/support/raw-socket.ts'
  const [port, opcode, first] = process.argv.slice(1).map(Number)
  const each = frame(opcode, '', { fin: opcode !== 0 })
  const chunk = Buffer.concat(Array(2000).fill(each))
  const sockets = await Promise.all(Array.from({ length: 100 }, () => rawSocket(port, '/ws/flood')))
  for (const { socket } of sockets) {
    if (opcode === 0) socket.write(frame(1, '', { fin: false }))
    const send = () => { while (socket.write(chunk)); }
    socket.removeAllListeners('data').on('drain', send).resume()
    send()
  }
  console.log('floods')
`

async function flood(port: number, opcode: number): Promise<() => void> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', FLOOD, String(port), String(opcode)], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return () => child.kill('SIGKILL')
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

for (const [name, opcode] of [
  ['pings', 9],
  ['pongs', 10],
  ['empty fragments', 0],
] as const) {
  test(`a hundred sockets that send ${name}: others are answered as ever`, async (t) => {
    const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', MAX_CONNECTIONS_PER_IP: '200' } })
    await startProbeHandler(t, gateway.handlerSocket)
    const client = await open(`${gateway.ws}/ws/echo`)
    const stop = await flood(gateway.port, opcode)
    t.after(stop)
    const times: number[] = []
    for (let i = 0; i < 20; i++) times.push(await milliseconds(() => client.ask(`still here ${i}`)))
    const health: number[] = []
    for (let i = 0; i < 5; i++) health.push(await milliseconds(() => fetchOnce(`${gateway.url}/healthz`)))
    stop()
    for (const list of [times, health]) list.sort((a, b) => a - b)
    t.diagnostic(
      `median ${times[10]!.toFixed(1)} ms, slowest ${times[19]!.toFixed(1)} ms, health ${health[2]!.toFixed(1)} ms`,
    )
    assert.ok(times[10]! < 150, `the median is ${times[10]} ms`)
    assert.ok(health[2]! < 500, `/healthz took ${health} ms`)
    await client.close()
  })
}

test('an endless message ends in time however fast its parts come; many that end have no end in common', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', MESSAGE_TIMEOUT: '2s' },
  })
  const handler = await startProbeHandler(t, gateway.handlerSocket, (_, response) => void response.writeHead(204).end())
  const endless = await rawSocket(gateway.port, '/ws/endless')
  const parts = Buffer.concat(Array(500).fill(frame(0, '', { fin: false })))
  endless.write(frame(1, '', { fin: false }))
  const began = performance.now()
  const timer = setInterval(() => endless.socket.writableNeedDrain || endless.write(parts), 1)
  const { code, reason } = await endless.closeFrame()
  clearInterval(timer)
  assert.deepEqual([code, reason], [1008, 'a message must end within 2 s'])
  const time = performance.now() - began
  assert.ok(time > 1900 && time < 10_000, `${time} ms`) // unbounded, it would never end
  // Each piece ends one message and begins the next, so that there is never none.
  const steady = await rawSocket(gateway.port, '/ws/steady')
  const message = frame(2, Buffer.alloc(100))
  steady.write(message.subarray(0, 50))
  const count = (): number => handler.events.filter(({ body }) => body.length === 100).length
  for (let i = 1; performance.now() - began < time + 3000; i++) {
    steady.write(message.subarray(50), message.subarray(0, 50))
    await until('the handler has it', () => count() === i)
  }
  steady.write(message.subarray(50), frame(8))
  assert.equal((await steady.closeFrame()).code, undefined)
})
