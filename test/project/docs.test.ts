// What the documentation names is there, and what is there is documented.
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { EffectHeader, EventHeader } from '../../plugin/headers.ts'
import { files, project, read } from './files.ts'

const DOCUMENTS = files('*.md', '{docs,examples}/**/*.md')
const HEADERS = [...Object.values(EventHeader), ...Object.values(EffectHeader)].sort()

type Link = { file: string; target: string }

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '')
}

function linksOf(file: string): Link[] {
  const text = withoutCode(read(file))
  const targets = [
    ...text.matchAll(/\]\(<?([^)>\s]+)>?(?: "[^"]*")?\)/g),
    ...text.matchAll(/^\[[^\]]+\]: *<?(\S+?)>?$/gm),
    ...text.matchAll(/(?:src|srcset|href)="([^"]+)"/g),
  ].map((match) => match[1]!)
  return targets.filter((target) => !/^[a-z][a-z\d+.-]*:/i.test(target)).map((target) => ({ file, target }))
}

/** The names that a page's headings have in links, as GitHub makes them. */
function anchorsOf(file: string): string[] {
  const headings = [
    ...read(file)
      .replace(/^```[^]*?^```/gm, '')
      .matchAll(/^#+ +(.+?) *#*$/gm),
  ].map((match) => match[1]!)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function isThere({ file, target }: Link): boolean {
  const [path = '', anchor] = target.split('#')
  const aimed = path === '' ? file : join(dirname(file), decodeURIComponent(path))
  if (!existsSync(join(project, aimed))) return false
  return !anchor || !aimed.endsWith('.md') || anchorsOf(aimed).includes(anchor)
}

/** Header names of our own in the tables under `## Headers`: the first column, in backticks. */
function headersIn(markdown: string): string[] {
  const [, section] = /^## Headers\n([^]*?)(?=^## |(?![^]))/m.exec(markdown) ?? []
  assert.ok(section, 'docs/protocol.md has a heading "## Headers"')
  return [...section.matchAll(/^\| *`((?:ce|ws)-[a-z]+)` *\|/gm)].map((match) => match[1]!)
}

test('every relative link of the documentation leads somewhere', () => {
  assert.ok(DOCUMENTS.includes('docs/operating.md'))
  const broken = DOCUMENTS.flatMap(linksOf).filter((link) => !isThere(link))
  assert.deepEqual(
    broken.map(({ file, target }) => `${file}: ${target}`),
    [],
  )
})

test('each picture is there in light and dark, is shown, and has less than 200 KB', () => {
  const pictures = files('docs/images/*')
  assert.ok(pictures.length >= 4)
  const shown = linksOf('README.md').map(({ target }) => target)
  for (const picture of pictures) {
    assert.match(picture, /-(light|dark)\.png$/)
    assert.ok(pictures.includes(picture.replace(/-light\.png$/, '-dark.png')), picture)
    assert.ok(shown.includes(picture), `${picture} is in README.md`)
    assert.ok(statSync(join(project, picture)).size < 200_000, picture)
  }
})

test('docs/protocol.md lists the headers of plugin/headers.ts, each once', () => {
  assert.deepEqual(headersIn(read('docs/protocol.md')).sort(), HEADERS)
})

test('the gateway uses the headers of plugin/headers.ts', () => {
  const code = files('lua/framegate/**/*.lua')
    .map(read)
    .join('\n')
    .replace(/\\[rn]/g, ' ')
  const used = new Set([...code.matchAll(/(?<![\w-])(?:ce|ws)-[a-z]+(?![\w-])/g)].map((match) => match[0]))
  used.delete('ws-message') // a format of GRIP
  assert.deepEqual([...used].sort(), HEADERS)
})

test('the table of headers is read as it is meant', () => {
  const page =
    '# Protocol\n\n## Headers\n\n| header | says |\n| --- | --- |\n| `ce-id` | which |\n| `host` | where |\n\n### Effects\n\n' +
    '| header | does |\n| --- | --- |\n| `ws-close` | `ce-time` |\n\n## Next\n\n| `ce-type` | no |\n'
  assert.deepEqual(headersIn(page), ['ce-id', 'ws-close'])
  assert.deepEqual(headersIn('## Headers\n| `ce-id` | at the end |'), ['ce-id'])
  assert.throws(() => headersIn('# Protocol\n'))
})
