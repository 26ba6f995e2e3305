/** Describes a frame for people: its type, its size and a preview. */

import { byteLength, bytes } from '../shared/bytes.js'
import { counted } from '../shared/count.js'

const PREVIEW_BYTES = 96
const PREVIEW_CHARACTERS = 4_000

/**
 * @param {string | ArrayBuffer} data
 * @param {{ columns: number }} layout bytes in a row of the hex preview
 * @returns {{ type: string, text: string, more: string, failed: boolean }}
 */
export function describe(data, { columns }) {
  if (typeof data !== 'string') return describeBinary(new Uint8Array(data), columns)
  const json = parseJson(data)
  const full = json === undefined ? data : JSON.stringify(json, null, 2)
  return {
    type: `${json === undefined ? 'text' : 'text, JSON'}, ${bytes(byteLength(data))}`,
    text: full.slice(0, PREVIEW_CHARACTERS),
    more: rest(full.length - PREVIEW_CHARACTERS, 'character'),
    failed: json?.statusCode >= 400,
  }
}

function describeBinary(data, columns) {
  return {
    type: `binary, ${bytes(data.length)}`,
    text: hexDump(data.subarray(0, PREVIEW_BYTES), columns),
    more: rest(data.length - PREVIEW_BYTES, 'byte'),
    failed: false,
  }
}

/** Accepts only objects and arrays: the text `42` is JSON too, but rarely meant as such. */
function parseJson(text) {
  if (!/^\s*[{[]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Not JSON after all: shown as text.
  }
}

function hexDump(data, columns) {
  const rows = []
  for (let start = 0; start < data.length; start += columns) {
    const row = [...data.subarray(start, start + columns)]
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const ascii = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')
    rows.push(`${hex.padEnd(columns * 3 - 1)}  ${ascii}`)
  }
  return rows.join('\n')
}

function rest(amount, noun) {
  return amount > 0 ? `… and ${counted(amount, `more ${noun}`)}` : ''
}
