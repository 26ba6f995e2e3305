// docs/signed-events.md: its function verifies what the gateway sends, and its lists are whole.
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SignatureHeader } from '../../plugin/headers.ts'
import { project } from '../support/gateway.ts'
import { contextOf, SECRET, type Signed, sign } from '../support/signatures.ts'
import { blocks, onlyBlock, page, rows, section } from './markdown.ts'

const PAGE = page('docs/signed-events.md')

const EVENT: Signed = {
  method: 'POST',
  url: '/ws/a?b',
  headers: { 'ce-id': 'c/1', 'ce-type': 'framegate.open' },
  body: '',
}

test('the function of the page verifies both signatures', async (t) => {
  const file = join(project, 'test/docs', `.signed-${process.pid}.mjs`) // beside node_modules, where it finds the library
  t.after(() => rmSync(file))
  writeFileSync(file, onlyBlock(PAGE, 'js', /standardwebhooks/))
  const { verify } = await import(file)
  const signed = { ...EVENT, headers: { ...EVENT.headers, ...sign(SECRET, EVENT) } }
  verify(SECRET, signed)
  assert.throws(() => verify(SECRET, { ...signed, url: '/ws/b' }), /No matching signature/)
  assert.throws(() => verify(SECRET, { ...signed, body: 'x' }), /No matching signature/)
})

test('the context of the page is that of the message in docs/protocol.md', () => {
  const [message] = blocks(page('docs/protocol.md')).filter(({ text }) => text.startsWith('POST /ws/chat/lobby'))
  const [line, ...lines] = message!.text.split('\n\n')[0]!.split('\n')
  const headers = Object.fromEntries(lines.map((text) => text.split(/: (.*)/).slice(0, 2)))
  const { 'ce-state': _, ...others } = headers
  const [, method, url] = /^(\S+) (\S+)/.exec(line!)!
  const [context] = blocks(PAGE).filter(({ text }) => text.startsWith('POST '))
  assert.equal(context!.text.trim(), contextOf({ method: method!, url: url!, headers: others }))
})

test('the table of the page has every header', () => {
  const names = rows(section(PAGE, '## What is signed')).map(([name]) => name!.replaceAll('`', ''))
  assert.deepEqual(names, Object.values(SignatureHeader))
})
