// examples/python runs as its README shows, with many sockets at the same time.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { listening, run } from '../cli/framegate.ts'
import { open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { until } from '../support/wait.ts'
import { copyOfExample } from './example.ts'

test('the handler in Python', async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'python')
  const [python, file] = commands[0]!
  const script = join(folder, file!)
  assert.ok(readFileSync(script, 'utf8').trimEnd().split('\n').length <= 25, 'it is short')
  const handler = run(t, python!, [script])
  await listening(handler, port)
  const gateway = await startGateway(t, { handler: false, env: { HANDLER_URL: `http://127.0.0.1:${port}` } })
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(`${gateway.ws}/ws/any`)))
  for (const word of ['hello', 'Grüße ☃', '']) {
    assert.deepEqual(
      await Promise.all(clients.map((client) => client.ask(word))),
      clients.map(() => `you said: ${word}`),
    )
  }
  const bytes = Buffer.from([0, 255, 254, 128])
  assert.deepEqual(
    await Promise.all(clients.map((client) => client.ask(bytes))),
    clients.map(() => Buffer.concat([Buffer.from('you said: '), bytes])),
  )
  await Promise.all(clients.map((client) => client.close()))
  const events = 20 * 6
  await until(
    'every event was answered',
    () => handler.lines().filter((line) => /"POST \/ws\/any HTTP\/1.1" 200/.test(line)).length === events,
  )
})
