/** Formats numbers and times for people. */

const whole = new Intl.NumberFormat('en')
const SPANS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
]

/** @param {number} value */
export function count(value) {
  return whole.format(value)
}

/** A number per second; null is shown as a dash. @param {number | null} value */
export function rate(value) {
  if (value === null) return '–'
  return value > 0 && value < 100 ? value.toFixed(1) : whole.format(Math.round(value))
}

/** The two largest units: `3 h 12 min`. @param {number} seconds */
export function duration(seconds) {
  const i = SPANS.findIndex(([span]) => seconds >= span)
  if (i < 0) return '0 s'
  const [span, unit] = SPANS[i]
  const first = `${Math.floor(seconds / span)} ${unit}`
  if (i + 1 === SPANS.length) return first
  const [next, smaller] = SPANS[i + 1]
  const rest = Math.floor((seconds % span) / next)
  return rest > 0 ? `${first} ${rest} ${smaller}` : first
}

/** Time of day, with the date when that is not today. @param {string} time RFC 3339 @returns {string} in the reader's own time */
export function clock(time) {
  const then = new Date(time)
  const isToday = then.toDateString() === new Date().toDateString()
  return isToday ? then.toLocaleTimeString('en-GB') : moment(time)
}

/** @param {string} time as RFC 3339 has it @returns {string} in the reader's own time */
export function moment(time) {
  return new Date(time).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
}
