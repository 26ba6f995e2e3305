// Files that can be read in one go, functions that can be seen at once, and nothing left for later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './files.ts'
import { functionsOf } from './lua-size.ts'

const LONGEST_FILE = 250
const LONGEST_FUNCTION = 40
const EXCUSE = 'Longer than 250 lines because'
const SOURCES = files('{lua,plugin,handler,cli,setup,web,nginx,bench,examples}/**/*.{ts,js,lua,sh,conf,py,go}')

test('the sources are found', () => {
  for (const file of [
    'lua/configure.lua',
    'lua/framegate/protocol/frame.lua',
    'handler/app.ts',
    'plugin/index.ts',
    'cli/service/start.ts',
    'setup/setup.sh',
    'nginx/nginx.conf',
  ]) {
    assert.ok(SOURCES.includes(file), file)
  }
  assert.ok(SOURCES.some((file) => file.startsWith('web/')) && SOURCES.some((file) => file.startsWith('bench/')))
  assert.ok(!SOURCES.some((file) => file.includes('/vendor/')))
})

test(`no file has more than ${LONGEST_FILE} lines, or it says why at its top`, () => {
  const long = SOURCES.filter((file) => {
    const text = read(file)
    return countLines(text) > LONGEST_FILE && !text.split('\n').slice(0, 12).join('\n').includes(EXCUSE)
  })
  assert.deepEqual(
    long.map((file) => `${file}: ${countLines(read(file))} lines`),
    [],
  )
})

test(`no Lua function has more than ${LONGEST_FUNCTION} lines`, () => {
  const all = SOURCES.filter((file) => file.endsWith('.lua')).flatMap((file) =>
    functionsOf(read(file)).map((found) => ({ file, ...found })),
  )
  assert.ok(all.length > 300, `${all.length} functions are found`)
  const long = all.filter(({ lines }) => lines > LONGEST_FUNCTION)
  assert.deepEqual(
    long.map(({ file, line, lines, name }) => `${file}:${line}: ${lines} lines: ${name}`),
    [],
  )
})

test('nothing is marked as still to be done', () => {
  const marks = new RegExp(
    `\\b(?:${['TO', 'FIX'].map((word) => `${word}${word === 'TO' ? 'DO' : 'ME'}`).join('|')})\\b`,
  )
  const everything = [
    ...SOURCES,
    ...files(
      '*.{md,ts,js,json,yml}',
      '{docs,examples}/**/*.md',
      '{site,page}/**/*.{html,css}',
      'test/**/*.{ts,lua,sh}',
    ),
  ]
  const marked = everything.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, i) => (marks.test(line) ? [`${file}:${i + 1}`] : [])),
  )
  assert.deepEqual(marked, [])
})

test('functions are measured right', () => {
  const measured = (text: string) => functionsOf(text).map(({ line, lines }) => [line, lines])
  assert.deepEqual(measured(`local function f(a)\n${'  x()\n'.repeat(40)}end\n`), [[1, 42]])
  assert.deepEqual(measured('function A.f()\n  g(function()\n    x()\n  end)\nend\n'), [
    [1, 5],
    [2, 3],
  ])
  assert.deepEqual(measured('local t = { f = function(a) return a end }\n-- a function\n'), [])
  assert.throws(() => functionsOf('function f()\n  x()\n'), /no end/)
})

function countLines(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

// A spec is named after the module that it tests.
test('the first line of a file describes it', () => {
  const sources = [...SOURCES, ...files('test/**/*.ts')]
  const silent = sources.filter((file) => !/^(?:\/\/|\/\*\*|--|#|")/.test(read(file)))
  assert.deepEqual(silent, [])
})
