/** The tables that the bench prints. */
import { type Key, NAMES } from './gateways.ts'

/** One line of a table. */
export type Row = {
  section: string
  figure: string
  /** One value per round; the table shows the median. */
  rounds: Partial<Record<Key, number[]>>
  /** Digits after the decimal point. */
  digits: number
  /** Goals for framegate's value divided by the other's. */
  atLeast?: Partial<Record<Key, number>> | undefined
  atMost?: Partial<Record<Key, number>> | undefined
  /** Goal: the maximum of framegate's own value. */
  limit?: number | undefined
  /** The figure is not the gateways' own, so a ratio means nothing. */
  noRatio?: boolean
}

const KEYS = Object.keys(NAMES) as Key[]

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median of the rounds' ratios. Whatever slowed a round down affected both gateways. */
export function ratio(row: Row, other: Key): number | undefined {
  const { framegate, [other]: others } = row.rounds
  if (!framegate || !others || row.noRatio) return undefined
  return median(framegate.map((value, round) => value / others[round]!))
}

/** Formats the rows: one table for each group of sections that compare the same. */
export function toMarkdown(rows: Row[]): string {
  const groups: { keys: Key[]; rows: Row[] }[] = []
  for (const row of rows) {
    const keys = keysOf(rows.filter(({ section }) => section === row.section))
    const last = groups.at(-1)
    if (last?.keys.join() === keys.join()) last.rows.push(row)
    else groups.push({ keys, rows: [row] })
  }
  return groups.map(({ keys, rows }) => tableOf(keys, rows)).join('\n\n')
}

/** Whom some rows compare, in the order of the columns. */
function keysOf(rows: Row[]): Key[] {
  return KEYS.filter((key) => rows.some(({ rounds }) => rounds[key]))
}

function tableOf(keys: Key[], rows: Row[]): string {
  const others = keys.filter((key) => key !== 'framegate')
  const lines = rows.map((row, i) => [
    row.section === rows[i - 1]?.section ? '' : row.section,
    row.figure,
    ...keys.map((key) => value(row, key)),
    ...others.map((other) => ratio(row, other)?.toFixed(2) ?? ''),
    goalOf(row),
  ])
  const ratios = others.map((other) => `framegate / ${NAMES[other]}`)
  const head = ['', 'median of the rounds', ...keys.map((key) => NAMES[key]), ...ratios, 'goal']
  const rule = ['---', '---', ...keys.map(() => '---:'), ...ratios.map(() => '---:'), '---']
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function value(row: Row, key: Key): string {
  const values = row.rounds[key]
  if (!values) return ''
  return median(values).toLocaleString('en', { minimumFractionDigits: row.digits, maximumFractionDigits: row.digits })
}

/** A goal beside a peer that is not there is neither met nor missed. */
function goalOf(row: Row): string {
  const goals: string[] = []
  let met = true
  for (const other of KEYS) {
    const is = ratio(row, other)
    if (is === undefined) continue
    const least = row.atLeast?.[other]
    const most = row.atMost?.[other]
    if (least !== undefined) goals.push(`≥ ${least} × ${NAMES[other]}`)
    if (most !== undefined) goals.push(`≤ ${most} × ${NAMES[other]}`)
    if (is < (least ?? -Infinity) || is > (most ?? Infinity)) met = false
  }
  if (row.limit !== undefined) {
    goals.push(`≤ ${row.limit.toLocaleString('en')}`)
    met &&= median(row.rounds.framegate!) <= row.limit
  }
  return goals.length === 0 ? '' : `${goals.join(', ')}: ${met ? 'met' : 'missed'}`
}
