// The location and the publish of docs/from-pushpin.md work as on the page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterOpen, event, KEY, startGripGateway, startRawBackend } from '../grip/support.ts'
import { open } from '../support/client.ts'
import { shell } from './console.ts'
import { blocks, page } from './markdown.ts'

const PAGE = page('docs/from-pushpin.md')

test('the location speaks GRIP with its backend, and the publish reaches its sockets', async (t) => {
  const subscribe = event('TEXT', 'c:{"type":"subscribe","channel":"news"}')
  const backend = await startRawBackend(t, (raw) => ({
    headers: { 'sec-websocket-extensions': 'grip' },
    body: raw.body === 'OPEN\r\n' ? raw.body + subscribe : '',
  }))
  const other = await startRawBackend(
    t,
    afterOpen({}, () => ({})),
  )
  const [location] = blocks(PAGE.replace(/^ {3}/gm, ''), 'nginx')
  const gateway = await startGripGateway(t, other.url, {
    env: { HANDLER_PROTOCOL: '' },
    locations: location!.text.replace('http://backend:3000', backend.url),
  })
  const client = await open(`${gateway.ws}/ws/chat/1`)
  const command = blocks(PAGE, 'sh').find(({ text }) => text.startsWith('curl'))!.text
  const here = command.replace('http://gateway:5561', gateway.control).replace('Bearer secret', `Bearer ${KEY}`)
  assert.equal(await shell(here.replace('curl', 'curl -s')), 'Published\n')
  assert.equal(await client.next(), 'hello')
  assert.deepEqual(other.requests, [])
  await client.close()
})
