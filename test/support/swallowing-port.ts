/** A port that swallows packets, as a firewall in front of a handler does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import { freePort } from './free-port.ts'
import { until } from './wait.ts'

/** A port whose SYNs are dropped: its process is stopped, and the queue of its listener is full. */
export async function swallowingPort(t: TestContext): Promise<number> {
  const port = await freePort()
  const script = `require('net').createServer().listen({ host: '127.0.0.1', port: ${port}, backlog: 1 }, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 8 }, () => connect({ host: '127.0.0.1', port }).on('error', () => {}))
  t.after(() => {
    for (const filler of fillers) filler.destroy()
    child.kill('SIGKILL')
  })
  await until('its queue is full', () => fillers.filter((filler) => !filler.connecting).length >= 2)
  return port
}
