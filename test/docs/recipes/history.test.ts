// docs/recipes/history.md works as it stands there: the scripts of the pages run here, with `ws` as their WebSocket.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import WebSocket from 'ws'
import { ReconnectingSocket } from '../../../web/client/reconnecting-socket.js'
import { open } from '../../support/client.ts'
import { askSocket } from '../../support/gateway.ts'
import { SmallReader } from '../../support/small-reader.ts'
import { until } from '../../support/wait.ts'
import { code } from './recipe.ts'
import { projectWithRoute, startProject } from './routes.ts'

/** HISTORY or FEED_TOKEN, as the page starts the gateway with it. */
function environment(fits: RegExp): Record<string, string> {
  const [, name, value] = /^(\w+)='?(.*?)'? npm start$/m.exec(code('history', 'sh', fits))!
  return { [name!]: value! }
}

/** Runs the script of a page, and can cut its connection. `names` are the variables of the script that it returns. */
function pageOf(t: TestContext, url: string, script: string, names: string, sessionStorage = {}): any {
  const dialed: WebSocket[] = []
  class Recorded extends WebSocket {
    constructor(...given: ConstructorParameters<typeof WebSocket>) {
      super(...given)
      dialed.push(this)
    }
  }
  class Client extends ReconnectingSocket {
    constructor(address: any, protocols?: any, options?: object) {
      super(address, protocols, { ...options, WebSocket: Recorded, min: 1 } as any)
    }
  }
  const body = `${script}\nreturn { socket, get: () => (${names}) }`
  const page = new Function('ReconnectingSocket', 'location', 'sessionStorage', body)(
    Client,
    { host: url.replace('ws://', '') },
    sessionStorage,
  )
  t.after(() => page.socket.close())
  return { ...page, cut: () => dialed.at(-1)!.terminate(), dialed }
}

test('a chat: the last 50 messages after a reload of the page, and nothing twice after a cut', async (t) => {
  const copy = projectWithRoute(t, 'lounge', code('history', 'ts', /lounge/))
  const { ws } = await startProject(t, copy, environment(/lounge/))
  const bob = await open(`${ws}/ws/lounge/red?name=Bob`)
  for (let i = 1; i <= 60; i++) {
    bob.socket.send(`n${i}`)
    await bob.next()
  }
  const load = () => pageOf(t, ws, code('history', 'js', /lounge/), 'messages')
  const texts = (page: any): string[] => page.get().map(({ text }: { text: string }) => text)
  const expected = (count: number): string[] => Array.from({ length: 50 }, (_, i) => `n${count - 49 + i}`)
  const page = load()
  await until('the last 50 came', () => page.get().length === 50)
  assert.deepEqual(texts(page), expected(60))
  page.cut()
  bob.socket.send('n61')
  page.socket.send('n62')
  await until('it is back', () => texts(page).includes('n61') && texts(page).includes('n62'))
  assert.equal(new Set(texts(page)).size, texts(page).length, 'nothing twice')
  page.socket.close()
  const again = load()
  await until('the last 50 came', () => again.get().length === 50)
  assert.deepEqual([...texts(again)].sort(), expected(62).sort())
  assert.equal(again.get().find(({ text }: { text: string }) => text === 'n62').name, 'Ada')
  await bob.close()
})

test('an answer of a model: whole and in order, although the page was cut and loaded again meanwhile', async (t) => {
  const copy = projectWithRoute(t, 'ask', code('history', 'ts', /model/))
  const { ws } = await startProject(t, copy, environment(/thread/))
  const storage: Record<string, string> = {}
  const load = () => pageOf(t, ws, code('history', 'js', /thread/), 'answer', storage)
  const question = Array.from({ length: 80 }, (_, i) => `w${i}`).join(' ') // a word in 50 ms
  const whole = `You have asked: ${question} `
  const first = load()
  first.socket.send(question)
  await until('a part came', () => first.get().includes('w3 ') && storage.after)
  first.cut()
  await until('it dialed again, and has more', () => first.dialed.length === 2 && first.get().includes('w8 '))
  first.socket.close()
  const second = load()
  await until('a part came', () => second.get().includes('w12 '))
  assert.ok(second.get() !== whole && whole.startsWith(second.get()), second.get())
  await until('all came', () => second.get() === whole)
  assert.equal((await open(`${ws}/ws/ask/${storage.thread}`)).socket.readyState, 1)
  second.socket.close()
  storage.after = 'a.1.1'
  const late = load()
  await until('it is too late', () => /not everything after this position is kept/.test(late.get()))
})

test('prices: a reader that stops gets the newest of each symbol, and no stranger sets prices', async (t) => {
  const copy = projectWithRoute(t, 'prices', code('history', 'ts', /prices/))
  const env = environment(/FEED_TOKEN/)
  const { ws } = await startProject(t, copy, { ...env, WORKERS: '1' })
  await assert.rejects(open(`${ws}/ws/feed`), /401/)
  const quick = await open(`${ws}/ws/prices`)
  const slow = new SmallReader(t, Number(new URL(ws).port), '/ws/prices')
  const socket = join(copy, 'run/control/control.sock')
  await until('both subscribe', async () => JSON.parse((await askSocket('/topics/prices', socket)).body).count === 2)
  const feed = await open(`${ws}/ws/feed`, { headers: { authorization: `Bearer ${env.FEED_TOKEN}` } })
  const symbols = Array.from({ length: 10 }, (_, i) => `SYMBOL-${i}`)
  let count = 0
  for (let price = 1; price <= 500; price++) {
    for (const symbol of symbols) feed.socket.send(JSON.stringify({ symbol, price }))
    for (const symbol of symbols) {
      assert.deepEqual(await quick.json(), { symbol, price })
      count += 1
    }
  }
  feed.socket.send(JSON.stringify({ symbol: 'END', price: 0 }))
  slow.read()
  const got = [...(await slow.readUntil('END')).matchAll(/"symbol":"(SYMBOL-\d)","price":(\d+)/g)]
  t.diagnostic(`of ${count} prices the slow reader got ${got.length}`)
  assert.ok(got.length < count / 2)
  const newest = Object.fromEntries(got.map(([, symbol, price]) => [symbol!, Number(price)]))
  assert.deepEqual(newest, Object.fromEntries(symbols.map((symbol) => [symbol, 500])))
  await Promise.all([quick.close(), feed.close()])
})
