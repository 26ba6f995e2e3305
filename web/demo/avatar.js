/** A person's mark: initials in a colour. Both come from the name alone, so it looks the same to everybody. */

const GOLDEN_ANGLE = 137.508
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/**
 * Initials of the first and the last word: "Ada Lovelace" is AL, "bob" is B, "🦊" is 🦊.
 * @param {string} name
 */
export function initialsOf(name) {
  const words = name
    .trim()
    .split(/[\s._-]+/u)
    .filter(Boolean)
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? '?']
  return chosen.map(firstGrapheme).join('').toLocaleUpperCase()
}

/**
 * A colour's hue in degrees. Similar names get far apart ones.
 * @param {string} name
 */
export function hueOf(name) {
  let hash = 2166136261
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0
  return Math.round((hash % 1000) * GOLDEN_ANGLE) % 360
}

/** The element; a screen reader skips it, as the name is beside it. */
export function avatar(name) {
  const mark = document.createElement('span')
  mark.className = 'avatar'
  mark.setAttribute('aria-hidden', 'true')
  paint(mark, name)
  return mark
}

/** @param {HTMLElement} mark @param {string} name */
export function paint(mark, name) {
  mark.textContent = initialsOf(name)
  mark.style.setProperty('--hue', String(hueOf(name)))
}

function firstGrapheme(word) {
  return [...graphemes.segment(word)][0].segment
}
