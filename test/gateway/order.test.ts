// The order of messages through batches, lanes and several handlers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { startGateway } from '../support/gateway.ts'
import { frame, rawSocket } from '../support/raw-socket.ts'

const SOCKETS = 20
const FRAMES = 10_000

async function sendAndCheck(port: number): Promise<void> {
  const socket = await rawSocket(port, '/ws/echo')
  const pieces: Buffer[] = []
  for (let i = 0; i < FRAMES; i++) pieces.push(frame(1, String(i)))
  socket.write(...pieces)
  for (let i = 0; i < FRAMES; i++) {
    const { payload } = await socket.frame(60_000)
    if (payload.toString() !== String(i)) assert.fail(`expected ${i}, got ${payload.toString()}`)
  }
  socket.socket.destroy()
}

for (const batch of [true, false]) {
  for (const handlers of [1, 3]) {
    test(`${FRAMES} frames on each of ${SOCKETS} sockets come back complete and in order: batches ${batch ? 'on' : 'off'}, ${handlers} handlers`, async (t) => {
      const sockets = Array.from({ length: handlers }, (_, i) => `/handler/${i}.sock`)
      const gateway = await startGateway(t, {
        handler: false,
        env: (run) => ({ HANDLER_URL: sockets.map((path) => `http://unix:${run}${path}`).join(',') }),
      })
      for (const path of sockets) {
        await startApp(t, gateway.run + path, {
          batch,
          routes: (app) => app.ws('/ws/echo', { message: (request) => request.body }),
        })
      }
      await Promise.all(Array.from({ length: SOCKETS }, () => sendAndCheck(gateway.port)))
    })
  }
}

test('a single lane that is renewed again and again loses nothing that waits for it', async (t) => {
  const gateway = await startGateway(t, { env: { WORKERS: '1', HANDLER_CONCURRENCY: '1' } })
  const sockets = await Promise.all(Array.from({ length: 8 }, () => rawSocket(gateway.port, '/ws/echo')))
  await Promise.all(
    sockets.map(async (socket) => {
      for (let i = 0; i < 700; i++) {
        socket.write(frame(1, String(i)))
        assert.equal((await socket.frame()).payload.toString(), String(i))
      }
      socket.socket.destroy()
    }),
  )
})
