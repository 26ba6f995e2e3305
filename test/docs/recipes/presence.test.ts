// docs/recipes/presence.md works as it stands there: the page's script runs here, with `ws` as its WebSocket.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { Client, open } from '../../support/client.ts'
import { until } from '../../support/wait.ts'
import { code } from './recipe.ts'
import { projectWithRoute, startProject } from './routes.ts'

test('who is here is known by name, with several tabs of one name', async (t) => {
  const copy = projectWithRoute(t, 'team', code('presence', 'ts'))
  const { ws } = await startProject(t, copy)
  const team = `${ws}/ws/team/red`
  await assert.rejects(new Client(team).opened, /400/)

  const bob = await open(`${team}?name=Bob`)
  const script = `${code('presence', 'js')}\nreturn { people, socket }`
  const page = (): { people: Set<string>; socket: WebSocket } =>
    new Function('WebSocket', 'location', script)(WebSocket, { host: ws.replace('ws://', '') })
  const [first, second] = [page(), page()]
  for (const { people } of [first, second]) {
    await until('the tab knows both', () => people.has('Ada') && people.has('Bob'))
  }
  assert.deepEqual([await bob.json(), await bob.json()], [{ here: 'Ada' }, { here: 'Ada' }])
  const eve = await open(`${team}?name=Eve`)
  await until('the tabs know Eve', () => first.people.has('Eve') && second.people.has('Eve'))
  assert.deepEqual(await bob.json(), { here: 'Eve' })

  first.socket.close()
  await eve.close()
  assert.deepEqual(await bob.json(), { gone: 'Eve' }, 'Ada has another tab')
  await until('the other tab knows', () => !second.people.has('Eve'))
  assert.deepEqual(JSON.parse(String(await bob.ask('who'))), { people: ['Ada', 'Bob'] })
  second.socket.close()
  assert.deepEqual(await bob.json(), { gone: 'Ada' })
  assert.deepEqual(JSON.parse(String(await bob.ask('who'))), { people: ['Bob'] })
  await bob.close()
})
