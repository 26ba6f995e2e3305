// Memory of the workers: by frames, by idle sockets, and after large messages.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { OFFER } from '../support/deflate.ts'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { frame, type RawSocket, rawSocket } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'

const KIB = 1024

/** Memory of a process that is its own, in bytes. */
function anonymous(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIB
}

/** Shared memory of all workers, counted once: their shared dictionaries. */
function shared(pids: number[]): number {
  return Math.max(
    ...pids.map((pid) => Number(/RssShmem:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIB),
  )
}

test('200,000 frames over one socket leave the worker’s memory where it was, within 1 MiB', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1' } })
  const [worker] = gateway.workers()
  const socket = await rawSocket(gateway.port, '/ws/echo')
  const chunk = Buffer.concat(Array.from({ length: 1000 }, () => frame(1, 'x'.repeat(64))))
  const round = async (): Promise<void> => {
    socket.write(chunk)
    for (let i = 0; i < 1000; i++) await socket.frame()
  }
  for (let i = 0; i < 50; i++) await round()
  // The heap breathes by nearly a megabyte; what frames leave behind is left by the next 200,000, too.
  let grown = Infinity
  for (let i = 0; i < 3 && grown >= 1024 * KIB; i++) {
    const before = anonymous(worker!)
    for (let j = 0; j < 200; j++) await round()
    grown = anonymous(worker!) - before
    t.diagnostic(`grown by ${(grown / KIB).toFixed(0)} KiB`)
  }
  assert.ok(grown < 1024 * KIB, `grown by ${grown} bytes`)
  socket.socket.destroy()
})

/** What one of 5,000 idle sockets costs in a gateway that was just started, in bytes. */
async function measureIdle(t: TestContext): Promise<number> {
  const gateway = await startGateway(t, { env: { MAX_CONNECTIONS_PER_IP: 'off' } })
  const workers = gateway.workers()
  // Half of them negotiate compression, which costs nothing. As many at once as below: the lanes that open events need are there before anything is measured.
  const openMany = (): Promise<RawSocket[]> =>
    Promise.all(
      Array.from({ length: 100 }, (_, i) => rawSocket(gateway.port, '/ws/echo', i % 2 ? { headers: OFFER } : {})),
    )
  const warm = [...(await openMany()), ...(await openMany())]
  const memory = (): number => workers.reduce((sum, pid) => sum + anonymous(pid), 0) + shared(workers)
  const before = memory()
  const sockets: RawSocket[] = []
  for (let i = 0; i < 50; i++) sockets.push(...(await openMany()))
  const each = (memory() - before) / sockets.length
  for (const { socket } of [...warm, ...sockets]) socket.destroy()
  await gateway.stop()
  return each
}

test('5,000 idle sockets cost at most 14 KB each in nginx', async (t) => {
  // They cost 13.1 to 13.5 KB: how far the heap is from its next collection differs by some 300 bytes a socket.
  const each = await measureIdle(t)
  t.diagnostic(`${each.toFixed(0)} bytes a socket`)
  assert.ok(each <= 14 * KIB, `${each} bytes a socket`)
})

test('1.8, 1.10: what large messages and answers took is given back soon after the last, with sockets and without', async (t) => {
  const gateway = await startGateway(t, {
    handler: false,
    env: { WORKERS: '1', MAX_MESSAGE_BYTES: '64m', MAX_ANSWER_BYTES: '64m' },
  })
  await startProbeHandler(t, gateway.handlerSocket)
  const [worker] = gateway.workers()
  const client = await open(`${gateway.ws}/ws/echo`)
  assert.equal(await client.ask('small'), 'small')
  const before = anonymous(worker!)
  const large = Buffer.alloc(64 * KIB * KIB, 1)
  const isBack = (): boolean => anonymous(worker!) - before < 16 * KIB * KIB
  let wasThere = false // not read after the last answer: it may be given back while this process reads
  const watch = setInterval(() => {
    wasThere ||= !isBack()
  }, 5)
  t.after(() => clearInterval(watch))
  for (let i = 0; i < 3; i++) assert.equal(((await client.ask(large)) as Buffer).length, large.length)
  assert.ok(wasThere)
  await until('it is given back', isBack, 30_000)
  client.socket.send(large)
  await until('it is there', () => !isBack())
  client.socket.terminate()
  await until('it is given back without a socket', isBack, 30_000)
})
