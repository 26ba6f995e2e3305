// The file .env: read as Docker Compose reads it.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readEnvironment } from '../../cli/environment.ts'
import { parseSettings } from '../../cli/settings-file.ts'
import { freePort } from '../support/free-port.ts'
import { folder, READY, run, startFramegate } from './framegate.ts'

const read = (text: string): Record<string, string> => parseSettings(text, '.env')

test('a file of settings is read as Docker Compose reads it', () => {
  const cases: Array<[string, Record<string, string>]> = [
    ['', {}],
    ['A=1\nB=2', { A: '1', B: '2' }],
    ['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    ['\uFEFFA=1\nB=2\n', { A: '1', B: '2' }],
    ['# a comment\n\n  # another\nA=1 # of a value\n', { A: '1' }],
    ['A=to#ken\nB=x#y #z', { A: 'to#ken', B: 'x#y' }],
    ['A=\'to #ken\'\nB="to #ken" # a comment', { A: 'to #ken', B: 'to #ken' }],
    ["A='pa$$word$X' # literal", { A: 'pa$$word$X' }],
    ["A='it\\'s'\nB='a\\b'", { A: "it's", B: 'a\\b' }],
    [' export A = spaced out  \n', { A: 'spaced out' }],
    ['A=\nB=""\nC=\'\'\n', { A: '', B: '', C: '' }],
    ["A='two\nlines'\nB=1", { A: 'two\nlines', B: '1' }],
    ['A=`x y`', { A: '`x y`' }],
    ['A=1\nA=2', { A: '2' }],
    ['A=a=b', { A: 'a=b' }],
  ]
  for (const [text, settings] of cases) assert.deepEqual(read(text), settings, JSON.stringify(text))
})

test('what Docker Compose reads in a way of its own is refused with its line and the reason', () => {
  const cases: Array<[string, RegExp]> = [
    ['A=1\nno setting\n', /^\.env:2: expected NAME=value, one on each line$/],
    ['A B=1', /:1: expected NAME=value/],
    ['1A=1', /:1: expected NAME=value/],
    ['A=pa$word', /:1: expected no \$ outside of single quotes.*A='…'$/],
    ['A=1\nB="pa$word"', /:2: expected no \$ .* between double quotes.*B='…'$/],
    ['A="C:\\new"', /:1: expected .* no backslash between double quotes/],
    ['A="open\nB=2', /:1: expected a closing quote|:2: expected a closing quote/],
    ["A='x' y", /:1: expected nothing but a comment/],
    ['A= # empty?', /:1: expected a value, or A='#…'/],
  ]
  for (const [text, message] of cases) assert.throws(() => read(text), { message }, JSON.stringify(text))
})

test('what the environment sets wins; the names of the file are handed on', (t) => {
  const file = join(folder(t), 'settings.env')
  writeFileSync(file, '\uFEFFPORT=1\r\nWORKERS=2\r\n')
  const env = readEnvironment({ ENV_FILE: file, PORT: '3', WORKERS: '' })
  assert.deepEqual([env.PORT, env.WORKERS, env.FRAMEGATE_ENV_NAMES], ['3', '2', 'PORT WORKERS'])
})

test('start and check: a misspelt variable of the file is refused with the one that was meant, a handler’s own is not', async (t) => {
  const file = join(folder(t), 'settings.env')
  writeFileSync(file, 'MAX_TOPCIS=50\nDATABASE_URL=postgres://localhost/a\n')
  const meant = /MAX_TOPCIS is no variable of the gateway: did you mean MAX_TOPICS\?/
  const refused = await startFramegate(t, { ENV_FILE: file })
  assert.equal(await refused.ended, 1)
  assert.equal(refused.lines().length, 1, refused.output())
  assert.match(refused.output(), meant)
  const env = { ENV_FILE: file, RUN_DIR: folder(t), PORT: String(await freePort()) }
  const check = run(t, process.execPath, ['cli/bin.js', 'check'], env)
  assert.equal(await check.ended, 1)
  assert.match(check.output(), meant)
  writeFileSync(file, 'MAX_TOPICS=50\nDATABASE_URL=postgres://localhost/a\n')
  const started = await startFramegate(t, { ENV_FILE: file, WORKER: '1', WORKERS: '1' })
  await started.said(READY)
  assert.match(started.output(), /the environment has WORKER, .* did you mean WORKERS\?/)
})
