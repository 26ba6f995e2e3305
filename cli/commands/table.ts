// Tables and counts as text for people.

/** Columns below their headings. Text that clients chose (names, paths) cannot move the cursor or colour the terminal. */
export function table(headings: string[], rows: Array<Array<string | number | undefined>>): string {
  const cells = [headings, ...rows.map((row) => row.map(cell))]
  const widths = headings.map((_, column) => cells.reduce((width, row) => Math.max(width, row[column]!.length), 0))
  const isNumber = headings.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'))
  return cells
    .map((row) =>
      row
        .map((text, column) => (isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function cell(value: string | number | undefined): string {
  const text = value === undefined || value === '' ? '-' : String(value)
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** A number of things: `1 socket`, `2 sockets`. */
export function counted(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
