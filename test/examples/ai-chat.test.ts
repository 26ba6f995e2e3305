// examples/ai-chat runs as its README shows.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { listening, run } from '../cli/framegate.ts'
import { page } from '../docs/markdown.ts'
import { linkPackages } from '../support/built-package.ts'
import { Client, open } from '../support/client.ts'
import { startGateway } from '../support/gateway.ts'
import { copyOfExample } from './example.ts'

type Frame = { question?: string; token?: string; done?: true; stopped?: true; statusCode?: number }

/** The frames up to the end of an answer. */
async function answerTo(client: Client): Promise<Frame[]> {
  const frames: Frame[] = []
  do frames.push(await client.json())
  while (!frames.at(-1)!.done && !frames.at(-1)!.stopped)
  return frames
}

function textOf(frames: Frame[]): string {
  return frames.map(({ token = '' }) => token).join('')
}

test('the chat with a model streams, keeps and stops', async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'ai-chat')
  linkPackages(folder)
  const file = join(folder, 'chat.js')
  const fast = readFileSync(file, 'utf8')
  const slow = fast.replace('delay(50,', 'delay(200,') // so that there is time to ask, and to stop, meanwhile
  assert.notEqual(slow, fast)
  writeFileSync(file, slow)
  const [, history] = /HISTORY=(\S+)/.exec(page('examples/ai-chat/README.md'))!
  const env = { HANDLER_URL: `http://127.0.0.1:${port}`, HISTORY: history! }
  const gateway = await startGateway(t, { handler: false, env })
  const [variable] = commands[0]!
  assert.match(variable!, /^CONTROL_SOCKET=/)
  const handler = run(t, process.execPath, [file], {
    CONTROL_SOCKET: `${gateway.run}/control/control.sock`,
  })

  await listening(handler, port)
  await assert.rejects(new Client(`${gateway.ws}/ws/chat`).opened, /400/)
  const url = `${gateway.ws}/ws/chat?chat=7`
  const client = await open(url)
  client.socket.send('what is a socket?')
  const first = await client.json()
  assert.deepEqual(first, { question: 'what is a socket?' })
  const token = await client.json()
  assert.equal(token.token, 'You ')
  client.socket.send('and now?')

  const late = await open(url)
  const rest = await answerTo(client)
  assert.ok(
    rest.some(({ statusCode }) => statusCode === 409),
    'a second question waits for the first',
  )
  assert.equal(handler.output(), '')
  const whole = await answerTo(late)
  assert.deepEqual(whole[0], first)
  assert.equal(textOf(whole), 'You asked: what is a socket?. I am only an example, and know nothing. ')
  assert.deepEqual(whole.at(-1), { done: true })

  client.socket.send('again')
  assert.deepEqual([await client.json(), (await client.json()).token], [{ question: 'again' }, 'You '])
  client.socket.send('stop')
  assert.deepEqual((await answerTo(client)).at(-1), { stopped: true })
  await Promise.all([client.close(), late.close()])
  assert.equal(handler.output(), '', 'nothing failed')
})
