/** Avatar of a person: initials on a colour. Both are made from the name alone, so everybody sees the same avatar. */

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
 * Hue of a person's colour, in degrees. Similar names get very different hues.
 * @param {string} name
 */
export function hueOf(name) {
  let hash = 2166136261
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0
  return Math.round((hash % 1000) * GOLDEN_ANGLE) % 360
}

/** Makes the element. Screen readers skip it, because the name is beside it. @param {string} name */
export function avatar(name) {
  const mark = document.createElement('span')
  mark.className = 'avatar'
  mark.setAttribute('aria-hidden', 'true')
  paint(mark, name)
  return mark
}

/** Shows the avatar of another name. @param {HTMLElement} mark @param {string} name */
export function paint(mark, name) {
  mark.textContent = initialsOf(name)
  mark.style.setProperty('--hue', String(hueOf(name)))
}

function firstGrapheme(word) {
  return [...graphemes.segment(word)][0].segment
}
