// docs/recipes/time.md works as it stands there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../../support/client.ts'
import { code } from './recipe.ts'
import { projectWithRoute, startProject } from './routes.ts'

test('a turn clock: a move that nobody answers in time is announced to both, and no other', async (t) => {
  const copy = projectWithRoute(t, 'game', code('time', 'ts', /turn|TURN_SECONDS/))
  // Long enough for the second move to be in time on a slow machine.
  const { ws } = await startProject(t, copy, { TURN_SECONDS: '3' })
  const [ada, bob] = [await open(`${ws}/ws/game/7`), await open(`${ws}/ws/game/7`)]
  ada.socket.send('e4')
  for (const player of [ada, bob]) assert.deepEqual(await player.json(), { number: 1, move: 'e4' })
  bob.socket.send('e5')
  for (const player of [ada, bob]) assert.deepEqual(await player.json(), { number: 2, move: 'e5' })
  for (const player of [ada, bob]) assert.deepEqual(await player.json(), { unanswered: 2 })
  await Promise.all([ada.close(), bob.close()])
})

test('a digest: what arrived goes out together, when the timer comes', async (t) => {
  const copy = projectWithRoute(t, 'digest', code('time', 'ts', /timer\(/))
  const [, minutely] = /TIMERS='(.*)'/.exec(code('time', 'sh'))!
  assert.match(minutely!, /^1m /)
  const { ws } = await startProject(t, copy, { TIMERS: minutely!.replace('1m', '2s') })
  await assert.rejects(open(`${ws}/ws/timers/digest`), /404/)
  const clients = [await open(`${ws}/ws/news`), await open(`${ws}/ws/news`)]
  for (const news of ['one', 'two', 'three']) clients[0]!.socket.send(news)
  const news: string[] = []
  while (news.length < 3) {
    const [first, second] = await Promise.all(clients.map((client) => client.json()))
    assert.deepEqual(first, second)
    assert.equal(Date.parse(first.at) % 2000, 0)
    news.push(...first.news)
  }
  assert.deepEqual(news, ['one', 'two', 'three'])
  await Promise.all(clients.map((client) => client.close()))
})
