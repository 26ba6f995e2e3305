/** Sizes in bytes: of a text in UTF-8, and formatted for people. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const encoder = new TextEncoder()

/** How many bytes a text has in UTF-8. @param {string} text @returns {number} */
export function byteLength(text) {
  return encoder.encode(text).length
}

/** `1.5 KiB`. @param {number} value in bytes @returns {string} */
export function bytes(value) {
  const i = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10))
  const amount = value / 1024 ** i
  return `${i > 0 && amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${UNITS[i]}`
}
