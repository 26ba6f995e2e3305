// The cases of the Autobahn Testsuite, against the gateway and against a server that fails them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { CASES, play } from './suite.ts'

/** How many cases each group of the Autobahn Testsuite has. */
const COUNTS: Record<string, number> = { 1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1 }

function casesOf(group: string): typeof CASES {
  return CASES.filter(({ id }) => id.startsWith(`${group}.`))
}

test('every case of the Autobahn Testsuite is there once', () => {
  const ids = CASES.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
  for (const [group, count] of Object.entries(COUNTS)) assert.equal(casesOf(group).length, count, `group ${group}`)
})

test('the shipped handler behind the gateway passes every case', async (t) => {
  const gateway = await startGateway(t, { env: { MAX_MESSAGE_BYTES: '16m' } })
  for (const group of Object.keys(COUNTS)) {
    await t.test(`group ${group}`, async () => {
      assert.deepEqual(await play(`${gateway.ws}/ws/echo`, casesOf(group)), [])
    })
  }
})

test('the suite finds a server that does not echo', async (t) => {
  const gateway = await startGateway(t, { handler: false })
  await startProbeHandler(t, gateway.handlerSocket, ({ type }, response) => {
    response.end(type === 'framegate.message' ? 'another answer' : '')
  })
  const few = CASES.filter(({ id }) => ['1.1.2', '2.1', '7.3.3'].includes(id))
  const failures = await play(`${gateway.ws}/ws/echo`, few)
  assert.deepEqual(
    failures.map((line) => line.split(' ')[0]),
    ['1.1.2'],
  )
})
