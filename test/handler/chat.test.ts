// The chat's handler, without a gateway.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test, { type TestContext } from 'node:test'
import chat from '../../handler/routes/chat.ts'
import { buildApp, effectsIn, event, type Kind } from '../plugin/support.ts'

const LOBBY = '/ws/chat/lobby'
const TIME = '2026-11-20T10:00:00.123Z'
const publicId = (connectionId: string) => createHash('sha256').update(connectionId).digest('base64url').slice(0, 16)
const facts = { id: publicId('c1'), time: TIME }

type Topic = { connections: { id: string; user?: string | null }[] }

/** The chat alone, on a gateway of the test's own. `logged` holds the warnings. */
async function buildChat(t: TestContext, topic: (name: string) => Promise<Topic> = async () => ({ connections: [] })) {
  const logged: string[] = []
  const app = await buildApp(t, {
    logger: {
      level: 'warn',
      stream: {
        write: (line: string) => {
          logged.push(JSON.parse(line).msg)
        },
      },
    },
  })
  t.mock.method(app.gateway, 'topic', topic as never)
  await app.register(chat)
  const send = (kind: Kind, frame?: object, state?: string, url = LOBBY) =>
    app.inject(
      event(kind, url, frame && JSON.stringify(frame), {
        'ce-connectionid': 'c1',
        'ce-time': TIME,
        ...(state !== undefined && { 'ce-state': state }),
      }),
    )
  return { send, logged }
}

/** Effects with the frames in them read, for what is in a frame is JSON. */
function read(effects: unknown[]): unknown[] {
  return (effects as Record<string, any>[]).map((effect) => {
    if (effect.send) return { send: JSON.parse(effect.send.text) }
    if (effect.publish) return { publish: { ...effect.publish, text: JSON.parse(effect.publish.text) } }
    return effect
  })
}

test('open subscribes to the topic of the room and says nothing', async (t) => {
  const { send } = await buildChat(t)
  const answer = await send('open')
  assert.deepEqual([answer.statusCode, answer.body, answer.headers['ws-subscribe']], [200, '', 'chat:lobby'])
  const café = await send('open', undefined, undefined, '/ws/chat/caf%C3%A9')
  assert.equal(café.headers['ws-subscribe'], 'chat:caf%C3%A9')
})

test('a room with a name that no room can have is refused', async (t) => {
  const { send } = await buildChat(t)
  for (const room of ['a%20b', 'a%2Fb', 'x'.repeat(33), '%F0%9F%A6%8A']) {
    assert.equal((await send('open', undefined, undefined, `/ws/chat/${room}`)).statusCode, 400, room)
  }
})

test('join names the connection, tells the others, and is answered with who is here', async (t) => {
  const asked: string[] = []
  const { send } = await buildChat(t, async (name) => {
    asked.push(name)
    return {
      connections: [{ id: 'c1', user: null }, { id: 'c2', user: 'Grace' }, { id: 'c3' }, { id: 'c4', user: 'Grace' }],
    }
  })
  const answer = await send('message', { join: ' Ada ' })
  assert.deepEqual(asked, ['chat:lobby'])
  assert.deepEqual(read(effectsIn(answer)), [
    { user: 'Ada' },
    { state: 'Ada' },
    { publish: { topic: 'chat:lobby', except: 'self', text: { type: 'joined', name: 'Ada', ...facts } } },
    {
      send: {
        type: 'welcome',
        name: 'Ada',
        people: [
          { id: publicId('c2'), name: 'Grace' },
          { id: publicId('c4'), name: 'Grace' },
        ],
        ...facts,
      },
    },
  ])
  assert.doesNotMatch(answer.body, /c[24]"/, 'the ids that one may push to stay here')
})

test('when the gateway cannot be asked, the chat goes on without a list and says so in the log', async (t) => {
  const { send, logged } = await buildChat(t, async () => {
    throw new Error('ENOENT')
  })
  const answer = await send('message', { join: 'Ada' })
  assert.equal(answer.statusCode, 200)
  assert.deepEqual(read(effectsIn(answer)).at(-1), { send: { type: 'welcome', name: 'Ada', people: null, ...facts } })
  assert.deepEqual(logged, ['the gateway cannot be asked who is here'])
})

test('what is said goes to everybody under the name in the state, and back', async (t) => {
  const { send } = await buildChat(t)
  const said = { type: 'said', name: 'Zoë 🦊', text: '<b>hi</b>', ref: 'r1', ...facts }
  assert.deepEqual(read(effectsIn(await send('message', { say: '<b>hi</b>', ref: 'r1' }, 'Zo%C3%AB%20%F0%9F%A6%8A'))), [
    { publish: { topic: 'chat:lobby', except: 'self', text: said } },
    { send: said },
  ])
})

test('who has not joined cannot speak', async (t) => {
  const { send } = await buildChat(t)
  const answer = await send('message', { say: 'hi' })
  assert.equal(answer.statusCode, 409)
  assert.match(answer.json().message, /join first/)
})

test('a frame that is neither a name nor a message is answered with what is wrong', async (t) => {
  const { send } = await buildChat(t)
  const frames = [
    {},
    { join: '' },
    { join: '  ' },
    { join: '\u200b' },
    { join: 'x'.repeat(33) },
    { say: '' },
    { say: ' \n' },
    { say: 'x'.repeat(2001) },
  ]
  for (const frame of frames) {
    const answer = await send('message', frame, 'Ada')
    assert.deepEqual([answer.statusCode, answer.json().error], [400, 'Bad Request'], JSON.stringify(frame))
  }
  assert.equal((await send('message', { join: '🦊'.repeat(32) })).statusCode, 200, 'characters count, not their bytes')
})

test('close says goodbye, unless nobody had joined', async (t) => {
  const { send } = await buildChat(t)
  assert.deepEqual(read(effectsIn(await send('close', undefined, 'Ada'))), [
    { publish: { topic: 'chat:lobby', except: 'self', text: { type: 'left', name: 'Ada', ...facts } } },
  ])
  const stranger = await send('close')
  assert.deepEqual([stranger.statusCode, stranger.body], [200, ''])
})
