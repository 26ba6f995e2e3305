// Formats the Lua files with StyLua, by the settings in stylua.toml: format-lua.ts [--check] FOLDER...
// StyLua comes as WebAssembly from npm; its binary would have to be downloaded from elsewhere.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as stylua from '@johnnymorganz/stylua'

const project = join(import.meta.dirname, '..')
const { CallParenType, CollapseSimpleStatement, IndentType, LuaVersion, QuoteStyle } = stylua
const WORDS: Record<string, object> = {
  indent_type: IndentType,
  quote_style: QuoteStyle,
  call_parentheses: CallParenType,
  collapse_simple_statement: CollapseSimpleStatement,
  syntax: LuaVersion,
}

/** The settings of stylua.toml, which are `name = 1` or `name = "Word"`. */
function readConfig(): stylua.Config {
  const config = stylua.Config.new() as unknown as Record<string, unknown>
  for (const [, name = '', word, number] of readFileSync(join(project, 'stylua.toml'), 'utf8').matchAll(
    /^(\w+) = (?:"(\w+)"|(\d+))$/gm,
  )) {
    config[name] = word === undefined ? Number(number) : (WORDS[name] as Record<string, number>)[word]
  }
  return config as unknown as stylua.Config
}

function luaFiles(folders: string[]): string[] {
  const exclude = (name: string) => name === 'vendor' || name === 'node_modules'
  return folders.flatMap((folder) => globSync(`${folder}/**/*.lua`, { cwd: project, exclude })).sort()
}

// StyLua settles some calls only when it sees its own result. A call frees the configuration that it is given.
function format(text: string): string {
  return stylua.formatCode(text, readConfig(), undefined, stylua.OutputVerification.None)
}

const isCheck = process.argv[2] === '--check'
const wrong = luaFiles(process.argv.slice(isCheck ? 3 : 2)).filter((file) => {
  const path = join(project, file)
  const text = readFileSync(path, 'utf8')
  const formatted = format(format(text))
  if (!isCheck && formatted !== text) writeFileSync(path, formatted)
  return formatted !== text
})

if (isCheck && wrong.length > 0) {
  for (const file of wrong) console.error(`${file}: not formatted: run npm run format`)
  process.exitCode = 1
}
