// How many files a process may open, and how many sockets that allows.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { rawHandshake } from '../support/raw-socket.ts'
import { until } from '../support/wait.ts'
import { folder, READY, run } from './framegate.ts'

test('with 1,024 open files it says what it can hold, holds it, and refuses the next', async (t) => {
  const port = await freePort()
  const framegate = run(t, 'prlimit', ['--nofile=1024:1024', process.execPath, 'cli/framegate.ts', 'start'], {
    PORT: String(port),
    RUN_DIR: folder(t),
    WORKERS: '1',
    MAX_CONNECTIONS_PER_IP: 'off',
  })
  await framegate.said(READY)
  const [, words] =
    /^framegate: can hold (\d+) sockets: .*1024 files; .*ulimit -n/m.exec(framegate.output()) ??
    assert.fail(framegate.output())
  const count = Number(words)
  assert.ok(count >= 450, words)

  const clients: Client[] = []
  while (clients.length < count) {
    const some = Math.min(50, Math.max(1, count - clients.length - 50))
    clients.push(...(await Promise.all(Array.from({ length: some }, () => open(`ws://127.0.0.1:${port}/ws/echo`)))))
  }
  for (let i = 0; i < 20; i++) {
    const refused = rawHandshake(port, '/ws/echo')
    assert.equal((await refused.response()).status, 503)
  }
  const answers = await Promise.all(clients.map((client, i) => client.ask(`still here ${i}`)))
  assert.deepEqual(
    answers,
    clients.map((_, i) => `still here ${i}`),
  )
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
  await until('the log has the reason', () =>
    /\[warn\].*takes no more: raise the limit of open files/.test(framegate.output()),
  )
  assert.doesNotMatch(framegate.output(), /\[(error|crit|alert|emerg)\]/)
  for (const { socket } of clients) socket.terminate()
})

test('too few files for anything are refused in one line', async (t) => {
  const framegate = run(t, 'prlimit', ['--nofile=256:256', process.execPath, 'cli/framegate.ts', 'start'], {
    PORT: String(await freePort()),
    RUN_DIR: folder(t),
  })
  assert.equal(await framegate.ended, 1)
  assert.deepEqual(framegate.lines(), [
    'framegate: the limit of open files is 256, expected at least 512: raise it with ulimit -n',
  ])
})
