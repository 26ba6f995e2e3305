// How long files and functions are, by the indentation of their lines.

export type Length = { name: string; line: number; lines: number }

const CONTROL = /^\s*(?:\}\s*)?(?:if|else|for|while|do|switch|try|catch|finally|return|await|case|default)\b/
const SCRIPT_BEGIN =
  /(?:\bfunction\b.*|=>\s*|^\s*(?:(?:async|static|get|set|override|private|public) )*\*?[#\w]+ ?(?:<.*>)?\(.*\).*|^\s*\)(?:: .*)?\s*)\{$/
const LUA_BEGIN = /\bfunction\b(?!.*\bend\b)/
const SHELL_BEGIN = /^\w+ ?\(\) \{/

type Language = { begins: (line: string) => boolean; ends: RegExp }

const SCRIPT: Language = {
  begins: (line) => SCRIPT_BEGIN.test(line) && (!CONTROL.test(line) || /=>\s*\{$|\bfunction\b/.test(line)),
  ends: /^\}/,
}

const LANGUAGES: Record<string, Language> = {
  ts: SCRIPT,
  js: SCRIPT,
  lua: { begins: (line) => LUA_BEGIN.test(line.replace(/--.*$|"[^"]*"/g, '')), ends: /^end\b/ },
  sh: { begins: (line) => SHELL_BEGIN.test(line), ends: /^\}/ },
}

export function countLines(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

/** The functions of a file that has the house's indentation: the end of a function stands below its beginning. */
export function functionsOf(file: string, text: string): Length[] {
  const language = LANGUAGES[file.slice(file.lastIndexOf('.') + 1)]
  if (!language) return []
  const lines = text.split('\n').map((line) => line.replace(/\s+(?:--|\/\/) .*$/, '').trimEnd())
  return lines.flatMap((line, first) => {
    if (!language.begins(line)) return []
    const indent = /^ */.exec(line)![0].length
    const last = lines.findIndex(
      (other, i) => i > first && /^ */.exec(other)![0].length === indent && language.ends.test(other.trimStart()),
    )
    if (last < 0) throw new Error(`${file}:${first + 1}: this function has no end of its own indentation`)
    return [{ name: line.trim(), line: first + 1, lines: last - first + 1 }]
  })
}
