// How long the functions of a Lua file are: Biome measures those of TypeScript and JavaScript.

export type Length = { name: string; line: number; lines: number }

const BEGIN = /\bfunction\b(?!.*\bend\b)/

/** The functions of a file as StyLua indents it: the end of a function stands below its beginning. */
export function functionsOf(text: string): Length[] {
  const lines = text.split('\n')
  return lines.flatMap((line, first) => {
    if (!BEGIN.test(line.replace(/--.*$|"[^"]*"/g, ''))) return []
    const end = `${/^ */.exec(line)![0]}end`
    const last = lines.findIndex((other, i) => i > first && other.startsWith(end))
    if (last < 0) throw new Error(`line ${first + 1}: this function has no end of its own indentation`)
    return [{ name: line.trim(), line: first + 1, lines: last - first + 1 }]
  })
}
