/** Makes elements without parsing HTML: names that strangers chose stay text. */

/**
 * @param {string} name
 * @param {Record<string, string | boolean | undefined>} [attributes] those that are undefined or false are left out
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

/** @param {string} id @returns {any} the element, which is there */
export function $(id) {
  return document.getElementById(id)
}

/** What a template of the page holds, to be put somewhere. @param {string} id @returns {DocumentFragment} */
export function stamp(id) {
  return $(id).content.cloneNode(true)
}

/** Changes a text only when it is another one, so that a selection in it, or a screen reader, is left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** A list of terms and what they say; elements that are there stay. @param {HTMLElement} list @param {Array<[string, string, string?]>} facts and a class */
export function fillFacts(list, facts) {
  const known = new Map([...list.children].map((row) => [row.dataset.term, row]))
  const rows = facts.map(([term, text, style]) => {
    const row =
      known.get(term) ?? h('div', { 'data-term': term }, h('dt', {}, term), h('dd', {}, h('bdi', { class: style })))
    setText(row.querySelector('bdi'), text)
    return row
  })
  if (rows.length !== list.children.length || rows.some((row, i) => list.children[i] !== row))
    list.replaceChildren(...rows)
}
