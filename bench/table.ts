/** The table that the bench prints. */
import { type Key, NAMES } from './gateways.ts'

/** One line of the table. */
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
  limit?: number
  /** The figure is not the gateways' own, so a ratio means nothing. */
  noRatio?: boolean
}

const OTHERS = ['middle', 'capture'] as const
const LETTERS = { framegate: '', middle: '(a)', capture: '(b)' } as const

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

/** Formats the whole table. */
export function toMarkdown(rows: Row[]): string {
  const lines = rows.map((row, i) => [
    row.section === rows[i - 1]?.section ? '' : row.section,
    row.figure,
    ...Object.keys(NAMES).map((key) => value(row, key as Key)),
    ...OTHERS.map((other) => ratio(row, other)?.toFixed(2) ?? ''),
    goalOf(row),
  ])
  const head = ['', 'median of the rounds', ...Object.values(NAMES), 'framegate / (a)', 'framegate / (b)', 'goal']
  const rule = ['---', '---', ...Object.keys(NAMES).map(() => '---:'), '---:', '---:', '---']
  return [head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function value(row: Row, key: Key): string {
  const values = row.rounds[key]
  if (!values) return ''
  return median(values).toLocaleString('en', { minimumFractionDigits: row.digits, maximumFractionDigits: row.digits })
}

function goalOf(row: Row): string {
  const goals: string[] = []
  let met = true
  for (const other of OTHERS) {
    const least = row.atLeast?.[other]
    const most = row.atMost?.[other]
    const is = ratio(row, other)
    if (least !== undefined) goals.push(`≥ ${least} × ${LETTERS[other]}`)
    if (most !== undefined) goals.push(`≤ ${most} × ${LETTERS[other]}`)
    if (is !== undefined && (is < (least ?? -Infinity) || is > (most ?? Infinity))) met = false
  }
  if (row.limit !== undefined) {
    goals.push(`≤ ${row.limit.toLocaleString('en')}`)
    met &&= median(row.rounds.framegate!) <= row.limit
  }
  return goals.length === 0 ? '' : `${goals.join(', ')}: ${met ? 'met' : 'missed'}`
}
