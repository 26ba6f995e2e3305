// Reads pages of the docs: sections, and blocks of code.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../support/free-port.ts'
import { project } from '../support/gateway.ts'

export type Block = { language: string; text: string }

export function page(file: string): string {
  return readFileSync(join(project, file), 'utf8')
}

/** The text under a heading, up to the next one of its level or above. */
export function section(markdown: string, heading: string): string {
  const level = /^#+/.exec(heading)![0].length
  const parts = markdown.split('\n')
  const first = parts.indexOf(heading)
  if (first < 0) throw new Error(`there is no heading "${heading}"`)
  const { lines } = parts.slice(first + 1).reduce<{ lines: string[]; inCode: boolean; over: boolean }>(
    (so, line) => {
      const inCode = line.startsWith('```') ? !so.inCode : so.inCode
      const ends = !inCode && (/^#+(?= )/.exec(line)?.[0].length ?? 9) <= level
      const over = so.over || ends
      return { lines: over ? so.lines : [...so.lines, line], inCode, over }
    },
    { lines: [], inCode: false, over: false },
  )
  return lines.join('\n')
}

/** Fenced blocks, of one language or of all. */
export function blocks(markdown: string, language?: string): Block[] {
  const all = [...markdown.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    text: match[2]!,
  }))
  return all.filter((block) => language === undefined || block.language === language)
}

/** The text of the one block of a language that fits. */
export function onlyBlock(markdown: string, language: string, fits = /./): string {
  const found = blocks(markdown, language).filter(({ text }) => fits.test(text))
  assert.equal(found.length, 1, `one block of ${language} that fits ${fits}`)
  return found[0]!.text
}

/** The text with a free port in place of the one that people read. */
export async function withFreePort(text: string, port: number): Promise<{ text: string; port: number }> {
  assert.ok(text.includes(String(port)), `${port} is in the text`)
  const free = await freePort()
  return { text: text.replaceAll(String(port), String(free)), port: free }
}

/** The cells of all table rows, without headings and rules. */
export function rows(markdown: string): string[][] {
  const lines = markdown.split('\n').filter((line) => line.startsWith('|'))
  const isRule = (line: string | undefined): boolean => /^[|: -]+$/.test(line ?? '')
  return lines
    .filter((line, i) => !isRule(line) && !isRule(lines[i + 1]))
    .map((line) =>
      line
        .replace(/^\||\|$/g, '')
        .split('|')
        .map((cell) => cell.trim()),
    )
}
