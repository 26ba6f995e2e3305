// docs/events.md: its handlers run, and it names everything that framegate/events does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as events from '../../plugin/events/index.ts'
import { folder } from '../cli/framegate.ts'
import { moduleBesidePackages } from '../support/built-package.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { onlyBlock, page, withFreePort } from './markdown.ts'
import { behindGateway, checkChat } from './recipes/recipe.ts'

const PAGE = page('docs/events.md')

test('the handler of node:http answers events', async (t) => {
  const { text, port } = await withFreePort(onlyBlock(PAGE, 'js', /createServer/), 9000)
  const file = moduleBesidePackages(folder(t), text)
  await checkChat(await behindGateway(t, { command: process.execPath, args: [file], port }))
})

test('the handler of Koa answers events', async (t) => {
  const port = await freePort()
  const text = `
import Koa from 'koa'
import { Reply, readEvent } from 'framegate/events'
const app = new Koa()
${onlyBlock(PAGE, 'js', /context/)}
app.listen(${port}, '127.0.0.1')`
  const file = moduleBesidePackages(folder(t), text)
  const gateway = await behindGateway(t, { command: process.execPath, args: [file], port })
  const client = await open(`${gateway.ws}/ws/echo`)
  for (const frame of ['Grüße', '', Buffer.from([0xff])]) assert.deepEqual(await client.ask(frame), frame)
  await client.close()
})

test('the page names every function, class and effect', () => {
  const {
    EffectHeader: _,
    EventHeader: __,
    EventType: ___,
    MediaType: ____,
    SignatureHeader: _____,
    ...exported
  } = events
  const methods = Object.getOwnPropertyNames(events.Reply.prototype).filter((name) => name !== 'constructor')
  const effects = ['subscribe', 'unsubscribe', 'publish', 'frame', 'alarm', 'close', 'state', 'user']
  const errorsOfPushes = /^(Gateway|Gone|SlowReader|Unreachable)Error$/
  const names = [...Object.keys(exported), ...methods, ...effects].filter((name) => !errorsOfPushes.test(name))
  assert.deepEqual(
    names.filter((name) => !new RegExp(`\\b${name}\\b`).test(PAGE)),
    [],
  )
})
