/** The unmodified packages @fanoutio/serve-grip and @fanoutio/grip: a backend that ran behind Pushpin runs behind framegate. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publisher, WebSocketMessageFormat } from '@fanoutio/grip'
import { open } from '../support/client.ts'
import { KEY, startBackend, startGripGateway } from './support.ts'

test('messages pass both ways, and publishes reach the subscribers', async (t) => {
  const backend = await startBackend(t, (context) => {
    if (context.isOpening()) {
      context.accept()
      context.subscribe('news')
    }
    while (context.canRecv()) {
      const message = context.recv()
      if (message === null) return context.close(context.closeCode ?? undefined)
      context.send(`you said: ${message}`)
    }
  })
  const gateway = await startGripGateway(t, backend.url)
  const client = await open(`${gateway.ws}/ws/a?b=c`)
  assert.equal(await client.ask('hello'), 'you said: hello')
  const publisher = new Publisher({ control_uri: gateway.control, control_iss: 'pushpin', key: KEY })
  await publisher.publishFormats('news', new WebSocketMessageFormat('to all'))
  assert.equal(await client.next(), 'to all')
  await client.close(4001)
  const last = await backend.request('the close', ({ types }) => types.includes('CLOSE'))
  assert.equal(last.context.closeCode, 4001)
})
