// The settings file (.env), read as Docker Compose reads it. Both read the same file, so a value must mean the same in both.
// https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
import { Failure } from './failure.ts'

const BLANK = /[^\S\n]*(?:#.*)?(?:\n|$)/y
const NAME = /[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*=[^\S\n]*/y
const SINGLE = /'((?:\\'|[^'])*)'/y
const DOUBLE = /"([^"]*)"/y
const BARE = /[^\n]*/y

/**
 * Reads the text of a file of settings; of a name that is there twice, the last value counts.
 * @param file its path, for the messages
 * @throws {Failure} with the place of a line that is wrong, or that Compose reads in a way of its own
 */
export function parseSettings(text: string, file: string): Record<string, string> {
  const settings: Record<string, string> = {}
  const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(source) ?? undefined
    if (found) at = pattern.lastIndex
    return found
  }
  const refuse = (expected: string): never => {
    const line = source.slice(0, at).split('\n').length
    throw new Failure(`${file}:${line}: expected ${expected}`)
  }
  while (at < source.length) {
    if (take(BLANK)) continue
    const name = take(NAME)?.[1] ?? refuse('NAME=value, one on each line')
    settings[name] = readValue(name, take, refuse)
  }
  return settings
}

type Take = (pattern: RegExp) => RegExpExecArray | undefined

function readValue(name: string, take: Take, refuse: (expected: string) => never): string {
  const single = take(SINGLE)
  const double = single ? undefined : take(DOUBLE)
  if (single || double) {
    if (double && /[\\$]/.test(double[1]!)) {
      refuse(`no $ and no backslash between double quotes, which Docker Compose replaces: write ${name}='…'`)
    }
    if (!take(BLANK)) refuse('nothing but a comment behind the closing quote')
    return (single?.[1] ?? double![1]!).replaceAll("\\'", "'")
  }
  const bare = take(BARE)![0].split(' #', 1)[0]!.trimEnd()
  if (/^['"]/.test(bare)) refuse('a closing quote')
  if (bare.startsWith('#')) refuse(`a value, or ${name}='#…' if it begins with #`)
  if (bare.includes('$')) refuse(`no $ outside of single quotes, since Docker Compose replaces it: write ${name}='…'`)
  return bare
}
